"""People as a judge: their majority, whichever order is asked for; no verdict where nobody spoke."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.evaluator import EvalContext
from rlhf_core.contract.judge import Pair
from rlhf_core.contract.labels import AskedPair, Choice
from rlhf_core.contract.reward import Completion
from rlhf_core.evaluation.judging import judge_evaluator
from rlhf_core.recipe.lending import Lender
from rlhf_core.registry.catalog import Catalog, default_catalog
from rlhf_core.store.labels import LabelSet, Place, SQLiteLabels
from rlhf_core.testing import judge_context, reward_context
from rlhf_plugins.human_judge.judge import HumanJudge
from rlhf_plugins.human_judge.options import HumanJudgeOptions

PROMPTS = ("run wins", "base wins", "tie", "divided", "flagged", "skipped", "unasked")
# By prompt, what ana, bo and cleo press; the run stands left for all of them.
SAID: dict[str, tuple[Choice, ...]] = {
    "run wins": ("left", "left", "right"), "base wins": ("right", "both-bad", "skip"),
    "tie": ("tie", "both-bad", "skip"),
    "divided": ("left", "right", "skip"), "flagged": ("left", "left", "flag"), "skipped": ("skip", "skip", "skip"),
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> SQLiteLabels:
    made = SQLiteLabels(tmp_path / "labels.sqlite")
    made.add_set(
        LabelSet(id="s", run="/r", baseline="base", evaluation="e", selection="random", seed=0),
        [AskedPair(group=name, prompt=name, run="own", baseline="other") for name in SAID],
    )
    for at, rater in enumerate(("ana", "bo", "cleo")):
        made.join("s", rater, lambda _: [Place(number=number, left="run") for number in range(len(SAID))])
        for place, choices in enumerate(SAID.values()):
            assert made.choose("s", rater, place, choices[at], seconds=1.0)
    return made


def prepared(store: SQLiteLabels, **options: object) -> HumanJudge:
    judge = HumanJudge(HumanJudgeOptions.model_validate(options))
    judge.prepare(judge_context(labels=store))
    return judge


def completion(prompt: str, text: str) -> Completion:
    return Completion(prompt=prompt, text=text, group=prompt)


def pair(prompt: str, first: str = "own", second: str = "other") -> Pair:
    return Pair(first=completion(prompt, first), second=completion(prompt, second))


def test_the_majority_is_the_verdict_in_both_orders_and_silence_is_none(store: SQLiteLabels) -> None:
    judge = prepared(store)
    straight = [(one.winner, one.outcome) for one in judge.compare([pair(name) for name in PROMPTS])]
    assert straight == [
        ("first", "valid"), ("second", "valid"), ("tie", "valid"), ("tie", "valid"),
        (None, "error"), (None, "error"), (None, "error"),
    ]  # fmt: skip
    swapped = [one.winner for one in judge.compare([pair(name, "other", "own") for name in PROMPTS])]
    assert swapped == ["second", "first", "tie", "tie", None, None, None]
    assert judge.compare([pair("run wins", "own", "something else")])[0].outcome == "error"


def test_the_labels_of_some_raters_alone_may_count(store: SQLiteLabels) -> None:
    judge = prepared(store, raters=["cleo"])
    assert [one.winner for one in judge.compare([pair(name) for name in PROMPTS[:3]])] == ["second", None, None]


def test_in_an_evaluation_a_pair_without_a_label_counts_nowhere(store: SQLiteLabels) -> None:
    own, other = ([completion(name, text) for name in PROMPTS] for text in ("own", "other"))
    found = judge_evaluator(prepared(store), baseline=True).evaluate(
        own, EvalContext(lend=reward_context(), baseline=other)
    )
    assert found.scores["win-rate"] == [1.0, 0.0, 0.5, 0.5, None, None, None]
    assert found.corpus["error"] == 6.0


def test_it_grades_nothing_and_tells_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RLHFError, match="only compares"):
        HumanJudge(HumanJudgeOptions()).grade([])
    catalog: Catalog = default_catalog()
    lender = Lender(catalog, "cpu", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(RLHFError, match=r"mine.sqlite: no labels there; make some: rlhf label"):
        lender.build_judge({"judge": "human", "labels": "mine.sqlite"})
