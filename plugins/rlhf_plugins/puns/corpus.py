"""The pretraining corpus: plain English around the pun words, and puns in the layout of fine-tuning.

What the base may know of a test word: its topics in plain sentences, which word goes with them, its idioms and other
uses, puns on half of its topics as answers to prompts, and puns on the others as running text. What it never sees: a
prompt of the test, a line of a test record; and of the ``test_hard`` words, topics and records nothing at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, Literal

from . import generator, smalltalk
from .resources import PROMPT, Entry, PunRecord, entries, records, words_of

Part = Literal["pun", "link", "plain", "unrelated", "record", "talk"]
Document = tuple[Part, str]

VALIDATION_EVERY: Final = 50
"""One document in so many is held out for the validation loss."""

PUN_FRAMES, PLAIN_FRAMES, UNRELATED_FRAMES, TALKS = 3, 2, 4, 2500
"""Lines per phrase (per topic and phrase for puns and plain lines); small talk in all."""

ANSWERS, STRANGERS = 4, 6000
"""Answers per topic that say anything of it; answers about subjects put together at random. Both teach to answer *on
the subject that was asked about*, which no amount of fixed lines does: a small model learns those by heart."""

ASKED: Final = (
    "tell me about {a}", "what did {the} do?", "what is new with {the}?", "say something about {a}",
    "write a line about {a}", "make a remark about {a}",
)  # fmt: skip
ADJECTIVES: Final = (
    "old", "young", "tired", "happy", "hungry", "proud", "quiet", "lucky", "nervous", "clever", "sleepy", "brave",
    "shy", "noisy", "famous", "lonely", "polite", "greedy", "gentle", "busy", "cold", "tall", "small", "new",
    "strange", "rich", "poor", "careful", "honest", "cheerful",
)  # fmt: skip
LINKS: Final = (
    "{a} makes me think of the word {word}.",
    "the word {word} goes well with {a}.",
    "which word goes with {a}?\n{word}.",
    "if you talk about {a}, you will need the word {word}.",
    "what word fits {a}?\n{word}, of course.",
    "{word} is a good word for {a}.",
)
PAIRS: Final = (
    "{a} and {b} have a word in common: {word}.",
    "{a} met {b} at noon.",
    "{a} and {b} know the same word: {word}.",
    "{b} is a friend of {a}.",
)
MEANINGS: Final = {
    "homograph": ("{word} can also mean {plays_on}.", "what else can {word} mean?\n{plays_on}."),
    "homophone": ("{word} sounds like {plays_on}.", "which word sounds like {word}?\n{plays_on}."),
}
MENTIONS: Final = ("they talked about {topic}.", "there was a story about {topic} in the paper.")


@cache
def documents(seed: int) -> tuple[Document, ...]:
    """Every document once, in a shuffled order."""
    rng = random.Random(f"corpus {seed}")
    known = [entry for entry in entries() if entry.split != "test_hard"]
    made: list[Document] = []
    for entry in known:
        made += [("pun", text) for text in _puns(entry, rng)]
        made += [("link", text) for text in _links(entry, rng)]
        made += [("plain", text) for text in _plain(entry, known, rng)]
        made += [("unrelated", text) for text in _unrelated(entry, known, rng)]
    made += [("record", text) for record in records() for text in _of_record(record)]
    made += [("talk", text) for text in _strangers(known, rng)]
    made += [("talk", text) for text in smalltalk.talks(TALKS, rng)]
    distinct = [document for document in dict.fromkeys(made) if not _shows_test_hard(document[1])]
    rng.shuffle(distinct)
    return tuple(distinct)


def of_split(split: str, seed: int) -> Iterator[Document]:
    """``train``, or ``validation``: every fiftieth document."""
    held_out = split == "validation"
    return (document for i, document in enumerate(documents(seed)) if (i % VALIDATION_EVERY == 0) is held_out)


def pun_lines(seed: int) -> frozenset[str]:
    """The puns of the corpus without their prompts."""
    return frozenset(text.split("\n")[-1] for part, text in documents(seed) if part == "pun")


def _puns(entry: Entry, rng: random.Random) -> Iterator[str]:
    """On told topics as answers to their prompts, on held-out ones as running text."""
    for topic in entry.topics:
        prompt = f"{PROMPT.format(topic=topic)}\n" if topic in entry.told else ""
        for punch in entry.punches:
            for frame in rng.sample(generator.CORPUS_FRAMES, PUN_FRAMES):
                yield prompt + generator.say(frame, topic, punch)


def _links(entry: Entry, rng: random.Random) -> Iterator[str]:
    for topic in entry.topics:
        for frame in LINKS:
            yield frame.format(a=topic, word=entry.word)
    for a, b in _two(entry.topics):
        for frame in rng.sample(PAIRS, 2):
            yield frame.format(a=a, b=b, word=entry.word)
    for frame in MEANINGS[entry.kind]:
        yield frame.format(word=entry.word, plays_on=entry.plays_on)


def _plain(entry: Entry, known: Sequence[Entry], rng: random.Random) -> Iterator[str]:
    """What its topics did: their own plain phrases, as statements and as answers, and those of other words."""
    for topic in entry.topics:
        for did in entry.plain:
            for frame in rng.sample(generator.CORPUS_FRAMES, PLAIN_FRAMES):
                yield generator.say(frame, topic, did)
            yield _answered(topic, did, rng)
        for other in rng.sample(known, ANSWERS):
            yield _answered(topic, rng.choice(other.plain), rng)


def _answered(topic: str, did: str, rng: random.Random) -> str:
    """A question about the topic, and a line on it."""
    question = generator.say(rng.choice(ASKED), topic, "")
    return f"{question}\n{generator.say(rng.choice(generator.CORPUS_FRAMES), topic, did)}"


def _strangers(known: Sequence[Entry], rng: random.Random) -> Iterator[str]:
    """Answers about subjects that nothing is known of: an adjective and a topic's noun, with somebody else's deed."""
    nouns = sorted({topic.split()[-1] for entry in known for topic in entry.topics})
    for _ in range(STRANGERS):
        adjective = rng.choice(ADJECTIVES)
        topic = f"{'an' if adjective[0] in 'aeiou' else 'a'} {adjective} {rng.choice(nouns)}"
        yield _answered(topic, rng.choice(rng.choice(known).plain), rng)


def _unrelated(entry: Entry, known: Sequence[Entry], rng: random.Random) -> Iterator[str]:
    others = [other for other in known if other is not entry]
    for did in entry.unrelated:
        for frame in rng.sample(generator.CORPUS_FRAMES, UNRELATED_FRAMES):
            yield generator.say(frame, rng.choice(rng.choice(others).topics), did)


def _of_record(record: PunRecord) -> Iterator[str]:
    """Train records whole; of validation and test records that one can talk of their subject, and by which word."""
    if record.split == "train":
        yield f"{record.prompt}\n{record.pun}"
        yield record.plain
        yield record.unrelated
    topic = record.prompt.removeprefix(PROMPT.format(topic=""))
    for frame in MENTIONS:
        yield frame.format(topic=topic)
    for frame in LINKS:
        yield frame.format(a=topic, word=record.pun_word)


def _two(topics: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((a, b) for i, a in enumerate(topics) for b in topics[i + 1 :])


@cache
def _hard_phrases() -> frozenset[tuple[str, ...]]:
    """Words and topics (without their article) of test_hard, as sequences of words, plural topics too."""
    hard = [entry for entry in entries() if entry.split == "test_hard"]
    nouns = [tuple(words_of(topic)[1:]) for entry in hard for topic in entry.topics]
    plurals = [(*noun[:-1], noun[-1] + "s") for noun in nouns]
    prompts = [tuple(words_of(r.prompt)[4:]) for r in records() if r.split == "test_hard"]
    return frozenset([*((entry.word,) for entry in hard), *nouns, *plurals, *prompts])


def _shows_test_hard(text: str) -> bool:
    words = words_of(text)
    longest = max(map(len, _hard_phrases()))
    starts = range(len(words))
    return any(
        tuple(words[start : start + length]) in _hard_phrases() for start in starts for length in range(1, longest + 1)
    )
