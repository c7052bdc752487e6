"""Which pairs are asked, in which order: seeded, blind to who is who, and never the same twice on one side."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.labels import AskedPair, Label, Side, Winner
from rlhf_core.evaluation.pairing import Candidate, candidates, in_order, plan


def rows(**run: Any) -> list[dict[str, Any]]:
    base = {"group": "g", "prompt": "p", "finished": True}
    return [
        {**base, "of": "run", "completion": "mine", **run},
        {**base, "of": "baseline", "completion": "theirs", "reward/score": 0.5, "text/words": 1.0},
    ]


def test_verdicts_and_scores_of_an_evaluation_are_read() -> None:
    own = {"reward/score": 2.0, "text/words": 3.0, "gpt/run-first": "run", "gpt/baseline-first": "baseline",
           "llama/run-first": "baseline", "llama/baseline-first": "baseline",
           "lame/run-first": None, "lame/baseline-first": "run"}  # fmt: skip
    (found,) = candidates(rows(**own))
    assert found.pair == AskedPair(group="g", prompt="p", run="mine", baseline="theirs")
    assert found.winners == {"gpt": "tie", "llama": "baseline"}
    assert (found.split, found.gap) == (True, 1.5)
    assert candidates(rows(**own), "text/words")[0].gap == 2.0
    with pytest.raises(RLHFError, match="--by nothing: the evaluation has no such number of both; there are reward/sc"):
        candidates(rows(**own), "nothing")
    with pytest.raises(RLHFError, match="no completion of a baseline"):
        candidates(rows()[:1])


def candidate(name: str, *, split: bool = False, gap: float = 9.0) -> Candidate:
    verdicts: tuple[Winner, Winner] = ("run", "baseline" if split else "run")
    return Candidate(
        pair=AskedPair(group=name, prompt=name, run="a", baseline="b"), judges={"judge": verdicts}, gap=gap
    )  # fmt: skip


def test_random_order_is_seeded_and_uncertain_first_asks_for_split_verdicts_then_small_gaps() -> None:
    found = [candidate(str(i), gap=float(i)) for i in range(20)] + [candidate("split", split=True)]
    names = [pair.group for pair in in_order(found, "random", 1)]
    assert names == [pair.group for pair in in_order(found, "random", 1)]
    assert names != [pair.group for pair in in_order(found, "random", 2)]
    assert sorted(names) == sorted(one.pair.group for one in found)
    assert [pair.group for pair in in_order(found, "uncertain", 1)][:4] == ["split", "0", "1", "2"]


def test_equal_completions_are_not_asked_about() -> None:
    same = Candidate(pair=AskedPair(group="s", prompt="s", run="a", baseline="a"), judges={}, gap=0.0)
    assert in_order([same], "random", 0) == []


def test_raters_share_pairs_and_divide_the_others() -> None:
    ways = {}
    given: set[int] = set()
    for rater in ("ana", "bo", "cleo"):
        ways[rater] = plan(100, given, rater=rater, seed=0, items=40, shared=10, repeats=5)
        given |= {place.number for place in ways[rater]}
    numbers = {rater: {place.number for place in way} for rater, way in ways.items()}
    assert numbers["ana"] & numbers["bo"] == numbers["bo"] & numbers["cleo"] == set(range(10))
    assert [len(one) for one in numbers.values()] == [40, 40, 40]
    assert numbers["ana"] | numbers["bo"] | numbers["cleo"] == set(range(100))
    late = plan(100, given, rater="dan", seed=0, items=40, shared=10, repeats=5)
    assert {place.number for place in late} == set(range(10))


def test_repeats_come_later_the_other_way_round_and_never_soon() -> None:
    for seed in range(20):
        way = plan(50, set(), rater="ana", seed=seed, items=30, shared=0, repeats=6)
        assert len(way) == 36
        again = [(at, place) for at, place in enumerate(way) if place.repeat]
        assert len(again) == 6
        for at, place in again:
            (before,) = [i for i, other in enumerate(way) if other.number == place.number and not other.repeat]
            assert at - before > 10
            assert {place.left, way[before].left} == {"run", "baseline"}


def test_each_side_stands_left_about_as_often() -> None:
    left = Counter(
        place.left for seed in range(50)
        for place in plan(20, set(), rater="ana", seed=seed, items=20, shared=20, repeats=0)
    )  # fmt: skip
    assert 430 < left["run"] < 570


def test_few_pairs_are_enough() -> None:
    assert plan(0, set(), rater="a", seed=0, items=5, shared=2, repeats=2) == []
    way = plan(1, set(), rater="a", seed=0, items=5, shared=2, repeats=2)
    assert [(place.number, place.repeat) for place in way] == [(0, False), (0, True)]


@pytest.mark.parametrize(
    ("choice", "left", "winner"),
    [("left", "run", "run"), ("left", "baseline", "baseline"), ("right", "run", "baseline"), ("both-bad", "run", "tie"),
     ("right", "baseline", "run"), ("tie", "run", "tie"), ("skip", "run", None), ("flag", "baseline", None)],
)  # fmt: skip
def test_the_side_that_was_chosen_is_told_as_who_stood_there(choice: Any, left: Side, winner: Winner | None) -> None:
    pair = AskedPair(group="g", prompt="p", run="a", baseline="b")
    label = Label(set_id="s", number=0, pair=pair, rater="ana", choice=choice, left=left, repeat=False)
    assert label.winner == winner
