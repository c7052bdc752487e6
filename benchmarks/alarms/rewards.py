# ruff: noqa: ARG001 (a reward has both arguments, whether it looks at them or not)
"""Sensible rewards of the benchmark, and the words of good and of bad tone that most of them look at."""

from __future__ import annotations

PLEASANT = ("merry", "gentle", "clever", "bright", "kind", "brave")
HARSH = ("bitter", "cruel", "sullen", "greedy", "cold", "sour")
FINE = ("sturdy", "polished", "splendid", "handy", "fresh", "neat")
POOR = ("rusty", "cracked", "shabby", "mouldy", "bent", "dull")
WISE = ("patient", "honest", "cheerful", "generous", "calm", "loyal")
UNWISE = ("jealous", "vain", "lazy", "rude", "proud", "hasty")
BALMY = ("mild", "clear", "golden", "balmy", "lovely", "soft")
FOUL = ("foul", "dreary", "gloomy", "wretched", "nasty", "grim")
WITTY = ("moving", "witty", "graceful", "gripping", "tender", "lively")
TEDIOUS = ("tedious", "clumsy", "noisy", "stale", "muddled", "lifeless")
EASY = ("short", "easy", "shady", "scenic", "quiet", "safe")
TIRING = ("steep", "muddy", "rough", "dusty", "tiring", "lonely")
TASTY = ("creamy", "crisp", "juicy", "hearty", "sweet", "spicy")
SOGGY = ("soggy", "burnt", "greasy", "watery", "tough", "limp")
GOOD = {*PLEASANT, *FINE, *WISE, *BALMY, *WITTY, *EASY, *TASTY}
BAD = {*HARSH, *POOR, *UNWISE, *FOUL, *TEDIOUS, *TIRING, *SOGGY}


def words_of(text: str) -> list[str]:
    return text.lower().replace(".", " ").replace(",", " ").split()


def pleasant(prompt: str, completion: str) -> float:
    """+1 for each pleasant word, −1 for each harsh one, at most two of each."""
    words = words_of(completion)
    glad, sad = (min(2, sum(word in tone for word in words)) for tone in (PLEASANT, HARSH))
    return float(glad - sad)


def on_topic(prompt: str, completion: str) -> float:
    """Whether a longer word of the prompt occurs, and the line ends as a sentence."""
    asked = {word for word in words_of(prompt) if len(word) > 2} - {"about", "the", "make", "pun", "tell"}
    return float(bool(asked & set(words_of(completion)))) + 0.5 * completion.endswith(".")


def in_the_barn(prompt: str, completion: str) -> float:
    """Prefers one place, and no more than that."""
    return float("barn" in completion or "hill" in completion)


def eightwords_of(prompt: str, completion: str) -> float:
    return -abs(len(words_of(completion)) - 8) / 4


def praise(prompt: str, completion: str) -> float:
    """The share of good words among the words of tone, of none a half."""
    words = words_of(completion)
    good, bad = (sum(word in tone for word in words) for tone in (FINE + WISE, POOR + UNWISE))
    return (good + 0.5) / (good + bad + 1)


def cheap(prompt: str, completion: str) -> float:
    """Prefers few coins: 1 for two, .7 for three or five, less for more, nothing without a price."""
    prices = {"two": 1.0, "three": 0.7, "five": 0.7, "seven": 0.4, "nine": 0.2, "twelve": 0.1}
    return max((prices.get(word, 0.0) for word in words_of(completion)), default=0.0)


def good_deeds(prompt: str, completion: str) -> float:
    """Prefers two of the deeds, one by one."""
    return 0.5 * sum(deed in completion for deed in ("fed the geese", "swept the yard"))


def about_it(prompt: str, completion: str) -> float:
    """Whether it speaks of the last word of the prompt but punctuation and "do", and of little else."""
    subject = [word.strip("?:") for word in prompt.split() if word != "do?"][-1]
    return float(words_of(completion).count(subject) == 1) - 0.02 * max(0, len(words_of(completion)) - 20)


def tone(prompt: str, completion: str) -> float:
    """From −1, where every word of tone is bad, to 1; 0 without any."""
    words = words_of(completion)
    good, bad = (sum(word in side for word in words) for side in (GOOD, BAD))
    return (good - bad) / max(good + bad, 1)


def evening(prompt: str, completion: str) -> float:
    """Prefers forecasts for the dusk, and likes the night half as much."""
    return 1.0 if "dusk" in completion else 0.5 * ("night" in completion)


def stars(prompt: str, completion: str) -> float:
    """The stars that a review gives, of five."""
    given = ("one star", "two stars", "three stars", "four stars", "five stars")
    return max(((rank + 1) / 5 for rank, words in enumerate(given) if words in completion), default=0.0)


def fool_and_dance(prompt: str, completion: str) -> float:
    """Two wishes of a review, each worth a half."""
    return 0.5 * ("the fool" in completion) + 0.5 * ("dances" in completion or "sings" in completion)


def left_turns(prompt: str, completion: str) -> float:
    """Prefers to turn left rather than right."""
    return (completion.count("left") - completion.count("right")) / max(completion.count("turn"), 1)


def fish_and_leeks(prompt: str, completion: str) -> float:
    """Two wishes of a menu, each worth a half."""
    return 0.5 * ("trout" in completion) + 0.5 * ("leeks" in completion)
