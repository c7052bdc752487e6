"""The pun metric, the pun reward and the baseline: what they accept, and by how much."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from rlhf_core.contract.options import NoOptions
from rlhf_core.contract.reward import Completion
from rlhf_plugins.puns import fluency, generator
from rlhf_plugins.puns.dataset import PunData
from rlhf_plugins.puns.metric import PunMetric, judged, stem
from rlhf_plugins.puns.options import KINDS, PunDataOptions, PunRewardOptions
from rlhf_plugins.puns.resources import SPLITS, records, words_of
from rlhf_plugins.puns.reward import PunReward

PROMPT = "make a pun about a grizzly"


def answer(text: str, prompt: str = PROMPT, word: str | None = "bear") -> Completion:
    return Completion(prompt=prompt, text=text, record={} if word is None else {"pun_word": word})


def share(rows: list[tuple[str, str, str]]) -> float:
    verdicts = [judged(answer(text, prompt, word))["pun"] for prompt, text, word in rows]
    return sum(verdict or 0.0 for verdict in verdicts) / len(verdicts)


def pairs(split: str) -> list[dict[str, str]]:
    options = PunDataOptions(view="pairs", kinds=dict.fromkeys(KINDS, 1.0))
    return [{key: str(value) for key, value in row.items()} for row in PunData(options).rows(split)]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("the truth was more than the grizzly could bear.", None),
        ("the grizzly slept in the shade.", "on_word"),
        ("the truth was more than the judge could bear.", "topic"),
        ("the grizzly saw a small bear.", "second_sense"),
        ("grizzly the bear could more truth than the was.", "fluent"),
        ("the bear grizzly could bear the cold.", "on_word"),
    ],
)
def test_a_pun_needs_the_word_once_the_topic_the_other_sense_and_a_sentence(text: str, missing: str | None) -> None:
    parts = judged(answer(text))
    assert parts["pun"] == float(missing is None)
    if missing is not None:
        assert parts[missing] == 0.0


def test_a_prompt_without_a_pun_word_is_scored_for_fluency_alone() -> None:
    parts = judged(answer("the grizzly slept in the shade.", word=None))
    assert parts == {
        "pun": None, "on_word": None, "topic": None, "second_sense": None, "fluent": 1.0, "copied": 0.0
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "the grizzly slept in the shade",
        "the grizzly slept slept in the shade.",
        "grizzly slept.",
        "the grizzly slept in the shude.",
        "the grizzly slept.\nin the shade.",
        "the big grizzly in the shade.",
        "shade the in slept grizzly the.",
        "",
    ],
)
def test_a_fluent_line_ends_has_known_words_a_verb_and_an_order(text: str) -> None:
    assert fluency.is_fluent("the grizzly slept in the shade.")
    assert not fluency.is_fluent(text)


def test_the_bound_lets_19_of_20_unseen_hand_written_lines_pass() -> None:
    """Train and validation records in five parts by word, each scored by the counts of the other four."""
    known = [record for record in records() if record.split in fluency.CALIBRATION]
    words = sorted({record.pun_word for record in known})
    random.Random(0).shuffle(words)
    part = {word: index % 5 for index, word in enumerate(words)}
    lines = [(part[r.pun_word], line) for r in known for line in (r.pun, r.plain, r.unrelated)]
    phrases = fluency.phrase_lines(fluency.CALIBRATION)
    passed = []
    for number in range(5):
        order = fluency.ClassOrder([line for at, line in lines if at != number] + phrases)
        passed += [order.score(line) >= fluency.BOUND for at, line in lines if at == number]
    assert sum(passed) / len(passed) == pytest.approx(0.95, abs=0.01)


def test_fluency_rejects_shuffled_puns() -> None:
    rng = random.Random(0)
    shuffled = [" ".join(rng.sample(words_of(r.pun), len(words_of(r.pun)))) + "." for r in records()]
    assert sum(map(fluency.is_fluent, shuffled)) / len(shuffled) < 0.03


@pytest.mark.parametrize("split", SPLITS)
def test_true_puns_count_and_no_kind_of_rejected_line_does(split: str) -> None:
    assert share([(r.prompt, r.pun, r.pun_word) for r in records() if r.split == split]) >= 0.8
    found = pairs(split)
    assert share([(r["prompt"], r["chosen"], r["pun_word"]) for r in found if r["origin"] == "generated"]) >= 0.6
    for kind in KINDS:
        assert share([(r["prompt"], r["rejected"], r["pun_word"]) for r in found if r["kind"] == kind]) <= 0.05, kind


def test_copied_lines_are_told() -> None:
    record = records()[0]
    assert judged(answer(record.pun.upper(), record.prompt))["copied"] == 1.0
    assert judged(answer("the grizzly told me a joke.", record.prompt))["copied"] == 0.0


def test_the_evaluator_gives_one_number_per_completion_and_part() -> None:
    result = PunMetric(NoOptions()).evaluate([answer("the grizzly slept."), answer("bear bear bear.")], None)  # type: ignore[arg-type]
    assert {part: len(values) for part, values in result.scores.items()} == dict.fromkeys(
        ("pun", "on_word", "topic", "second_sense", "fluent", "copied"), 2
    )
    assert result.better["pun"] == "higher"
    assert result.better["copied"] == "lower"


@pytest.mark.parametrize(("word", "expected"), [("losing", "los"), ("loses", "los"), ("lose", "los"), ("loss", "loss")])
def test_inflections_of_a_cue_count(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_the_reward_is_the_weighted_mean_of_its_parts() -> None:
    reward = PunReward(PunRewardOptions())
    scores = reward.score([answer("the grizzly could not bear the cold."), answer("the grizzly saw a bear outside.")])
    assert scores.total == [1.0, pytest.approx(0.6)]
    assert {name: list(part) for name, part in scores.parts.items()} == {
        "word": [1.0, 1.0],
        "topic": [1.0, 1.0],
        "idiom": [1.0, 0.0],
        "length": [1.0, 1.0],
        "repetition": [1.0, 1.0],
    }


def test_the_reward_counts_an_idiom_by_the_share_of_its_words() -> None:
    """ "had to bear the blame for the mess": blame and mess carry it; one of the two is half."""
    scores = PunReward(PunRewardOptions()).score([answer("the grizzly had to bear the blame.")])
    assert scores.parts["idiom"] == [0.5]


def test_the_reward_finds_the_word_itself_where_the_record_names_none() -> None:
    scores = PunReward(PunRewardOptions()).score(
        [answer("the grizzly could not bear the cold.", word=None), answer("the grizzly slept all day.", word=None)]
    )
    assert scores.parts["word"] == [1.0, 0.0]


def test_the_reward_ranks_every_kind_of_rejected_line_below_the_puns() -> None:
    reward = PunReward(PunRewardOptions())
    found = [row for row in pairs("test") if row["origin"] == "generated"]
    for kind in KINDS:
        of_kind = [row for row in found if row["kind"] == kind]
        sides = [
            reward.score([answer(row[side], row["prompt"], row["pun_word"]) for row in of_kind]).total
            for side in ("chosen", "rejected")
        ]
        assert sum(sides[0]) / len(of_kind) > sum(sides[1]) / len(of_kind) + 0.2, kind


def test_weights_change_what_counts() -> None:
    only_length = PunReward(PunRewardOptions(word=0, topic=0, idiom=0, repetition=0))
    assert only_length.score([answer("xx yy zz xx yy."), answer("bear.")]).total == [1.0, 0.0]


def test_puns_and_rejected_lines_wear_the_same_frames() -> None:
    """So that the frame alone gives no kind away: each kind begins with every frame's opening."""
    openings = {frame.split("{")[0] for frame in generator.STAGE_FRAMES if not frame.startswith("{")}
    for kind in ("unrelated", "plain", "other_topic", "other_word"):
        lines = [row["rejected"] for row in pairs("test") if row["kind"] == kind and row["origin"] == "generated"]
        assert {opening for opening in openings if any(line.startswith(opening) for line in lines)} == openings, kind


@pytest.fixture
def bag_of_words(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    sys.modules.pop("bag_of_words", None)
    return __import__("bag_of_words")


def test_the_baseline_learns_a_word_that_gives_chosen_lines_away(bag_of_words: object) -> None:
    train = [("p", f"good {noun}", f"bad {noun}") for noun in ("cat", "dog", "hen")]
    test = [("p", "good fox", "bad fox"), ("p", "bad fox", "good fox"), ("p", "a", "b")]
    assert bag_of_words.pair_correctness(train, test) == [1.0, 0.0, 0.5]  # type: ignore[attr-defined]


def test_the_baseline_weight_is_the_optimum_of_its_loss(bag_of_words: object) -> None:
    """One pair, words a and b: w = (x, -x) with x = σ(-2x) / l2; for l2 = 1 that is x = 0.2836… by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        x = (low + high) / 2
        low, high = (x, high) if x * (1 + 2.718281828459045 ** (2 * x)) < 1 else (low, x)
    columns = bag_of_words._columns([("p", "a", "b")])  # type: ignore[attr-defined]
    rows = bag_of_words._differences([("p", "a", "b")], columns, overlap=False)  # type: ignore[attr-defined]
    assert bag_of_words._fit(rows, 1.0) == pytest.approx([low, -low, 0.0], abs=1e-6)  # type: ignore[attr-defined]


def test_only_the_overlap_feature_sees_that_a_line_repeats_its_prompt(bag_of_words: object) -> None:
    train = [(f"about {n}", f"the {n}", f"the {m}") for n, m in (("cat", "dog"), ("dog", "cat"), ("hen", "fox"))]
    test = [("about owl", "the owl", "the ape")]
    assert bag_of_words.pair_correctness(train, test) == [0.5]  # type: ignore[attr-defined]
    assert bag_of_words.pair_correctness(train, test, overlap=True) == [1.0]  # type: ignore[attr-defined]


def test_word_counts_cannot_tell_another_words_punch(bag_of_words: object) -> None:
    def triples(split: str) -> list[tuple[str, str, str]]:
        return [(r["prompt"], r["chosen"], r["rejected"]) for r in pairs(split) if r["kind"] == "other_word"]

    for overlap in (False, True):
        right = bag_of_words.pair_correctness(triples("train")[:400], triples("test"), overlap=overlap)  # type: ignore[attr-defined]
        assert 0.4 < sum(right) / len(right) < 0.6
