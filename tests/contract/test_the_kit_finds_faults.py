"""A check that cannot fail is a defect: one planted fault per law of the kit, and what it is told."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import Field

from rlhf_core.contract.backbone import LoadContext, Trunk
from rlhf_core.contract.components import Component
from rlhf_core.contract.evaluator import Evaluation
from rlhf_core.contract.judge import Grade, Verdict
from rlhf_core.contract.options import Options
from rlhf_core.contract.records import Demonstration, PromptRecord
from rlhf_core.contract.reward import Completion, Reward, Scores
from rlhf_core.contract.rows import Loss, Rollout, Row, Totals
from rlhf_core.contract.trainer import AnyRow, BaseTrainer, Check
from rlhf_core.math.masking import masked_mean, masked_sum
from rlhf_core.testing import (
    LengthJudge,
    LengthReward,
    check_backbone,
    check_component,
    check_dataset,
    check_evaluator,
    check_judge,
    check_plugin,
    check_reward,
    check_tracker,
    check_trainer,
)


class Imitate(BaseTrainer[Row]):
    """A right trainer; each fault below breaks one thing of it."""

    Record = Demonstration
    Row = Row

    def prepare(self, context: Any) -> Mapping[str, Any]:
        self.context, self.policy = context, context.policy
        return {"policy": self.policy.train_role("policy")}

    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        scored = self.policy.score(rows)
        return Loss(-masked_sum(scored.logprobs, scored.mask) / totals.tokens)


class OwnMean(Imitate):
    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        scored = self.policy.score(rows)
        return Loss(-masked_mean(scored.logprobs, scored.mask))


class ForgottenHead(Imitate):
    def prepare(self, context: Any) -> Mapping[str, Any]:
        context.policy.add_head("value")
        return super().prepare(context)


class IdleHead(Imitate):
    def prepare(self, context: Any) -> Mapping[str, Any]:
        return {**super().prepare(context), "value": context.policy.add_head("value")}


class Detached(Imitate):
    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        return Loss(super().loss(rows, totals).total.detach())


class WrongStart(Imitate):
    def checks(self) -> Sequence[Check]:
        return [Check(metric="loss", expected=0.0, tolerance=0.1, meaning="it should know all by heart")]


class NoSuchBest(Imitate):
    best = ("accuracy", "max")


@dataclass(frozen=True, eq=False, kw_only=True)
class Noisy(Row):
    noise: float


class Unseeded(Imitate):
    Row = Noisy

    def collect(self, rows: Sequence[AnyRow], *, seed: int) -> Sequence[Row]:
        return [Noisy(**vars(row), noise=float(torch.rand(()))) for row in rows]


class OtherRow(Imitate):
    Row = Rollout


class Forgetful(Imitate):
    """Its loss depends on how many batches it saw, which it does not keep."""

    batches = 0

    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        return Loss(
            super().loss(rows, totals).total * (1.0 - 0.2 * self.batches) ** 2 + 0.05 * self._decay(totals, rows)
        )

    def _decay(self, totals: Totals, rows: Sequence[AnyRow]) -> Any:
        weights = sum(value.square().sum() for value in self.policy.trained().values())
        return self.batches * weights * len(rows) / totals.rows

    def after_batch(self, metrics: Mapping[str, float]) -> None:
        self.batches += 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Unsavable(Row):
    found: dict[str, int]


class Unsaved(Imitate):
    Row = Unsavable

    def collect(self, rows: Sequence[AnyRow], *, seed: int) -> Sequence[Row]:
        return [Unsavable(**vars(row), found={"a": 1}) for row in rows]


class BesideTheRow(Imitate):
    """Weighs rows by what it found in collect, and keeps that elsewhere than in the rows."""

    def collect(self, rows: Sequence[AnyRow], *, seed: int) -> Sequence[Row]:
        self.weights = {id(row): 2.0 for row in rows}
        return rows

    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        parts = [super(BesideTheRow, self).loss([row], totals).total * self.weights.get(id(row), 1.0) for row in rows]
        return Loss(torch.stack(parts).sum())


class RowsTogether(Imitate):
    """Its loss of a single row depends on the rows beside it."""

    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        scored = self.policy.score(rows)
        per_row = -(scored.logprobs * scored.mask).sum(1) / totals.tokens
        return Loss(super().loss(rows, totals).total, per_row=per_row.detach())


class OneForAll(Imitate):
    def loss(self, rows: Sequence[AnyRow], totals: Totals) -> Loss:
        loss = super().loss(rows, totals)
        return Loss(loss.total, per_row=loss.total.detach()[None])


class PairsOfRows(Imitate):
    def validate(self, rows: Sequence[AnyRow], totals: Totals, *, seed: int) -> Mapping[str, torch.Tensor]:
        return {**super().validate(rows, totals, seed=seed), "rows/score": torch.zeros(2 * len(rows))}


def test_the_right_trainer_passes() -> None:
    check_trainer(Imitate())


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        (OwnMean, "one after the other: sum over rows and divide by totals"),
        (ForgottenHead, "left heads.*out of its groups"),
        (IdleHead, "of group 'value' take no part in the loss"),
        (Detached, "has no graph"),
        (WrongStart, "its own check expects 0 ± 0.1: it should know all by heart"),
        (NoSuchBest, r"best is \('accuracy', 'max'\), but validate\(\) gives loss"),
        (Unseeded, "collect.. called twice with one seed gives another noise for samples:1"),
        (OtherRow, "gave a Row, but Row says Rollout"),
        (Forgetful, "cut after one batch and resumed, .* ends elsewhere"),
        (Unsaved, "saving collected rows raised TypeError: Unsavable.found holds a dict"),
        (BesideTheRow, "of saved and restored rows gives loss"),
        (RowsTogether, r"loss\(\).per_row says .* of samples:1, whose loss alone is"),
        (OneForAll, r"per_row has shape \[1\] for \d+ rows; give one number per row"),
        (PairsOfRows, r"validate\(\) gives rows/score of shape \[\d+\] for \d+ rows"),
    ],
)
def test_a_faulty_trainer_is_told_its_fault(faulty: type[Imitate], told: str) -> None:
    with pytest.raises(AssertionError, match=told) as error:
        check_trainer(faulty())
    assert str(error.value).startswith(f"{faulty.__name__}")
    assert "\n" not in str(error.value)


def test_records_there_are_none_of_must_be_given() -> None:
    class Own(PromptRecord):
        pass

    trainer = Imitate()
    trainer.Record = Own  # type: ignore[assignment, misc]
    with pytest.raises(ValueError, match="no ready-made records of Own"):
        check_trainer(trainer)


def reward_giving(answer: Any) -> Reward:
    class Planted(Reward):
        def score(self, completions: Sequence[Completion]) -> Any:
            return answer(completions)

    return Planted()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda c: [0.0] * (len(c) - 1), "6 scores for 7 completions"),
        (lambda c: [float("nan")] * len(c), "must be a finite number, found nan"),
        (lambda c: torch.zeros(len(c)), "must be a list of floats, found Tensor"),
        (lambda c: Scores([0.0] * len(c), {"wit": [1.0]}), "1 part 'wit' for 7 completions"),
        (lambda c: [random.random() for _ in c], "called twice on the same completions"),
        (lambda c: sorted(float(len(x.text)) for x in c), "in reverse order"),
    ],
)
def test_a_faulty_reward_is_told_its_fault(answer: Any, told: str) -> None:
    check_reward(LengthReward())
    with pytest.raises(AssertionError, match=told):
        check_reward(reward_giving(answer))


def evaluator_giving(evaluation: Any, needs: frozenset[str] = frozenset()) -> Any:
    class Planted:
        def __init__(self) -> None:
            self.needs = needs

        def evaluate(self, completions: Sequence[Completion], context: Any) -> Any:
            return evaluation(completions)

    return Planted()


@pytest.mark.parametrize(
    ("evaluation", "told"),
    [
        (lambda _: Evaluation(), "neither scores nor corpus"),
        (lambda _: Evaluation(scores={"x": [1.0]}), "1 numbers of 'x' for 7 completions"),
        (lambda c: Evaluation(scores={"x": [float("inf")] * len(c)}), "None says that it is not defined"),
        (lambda c: Evaluation(scores={"x": [1.0] * len(c)}, better={"y": "higher"}), "'y', which is no metric"),
        (lambda c: Evaluation(scores={"x": [1.0] * len(c)}, rows=[{"x": "text"}] * len(c)), "names a metric and a col"),
        (lambda _: Evaluation(corpus={"x": 1.0}, recompute=lambda _: {"x": 2.0}), "corpus says 1"),
        (lambda c: Evaluation(scores={"x": [random.random() for _ in c]}), "called twice gives other scores"),
    ],
)
def test_a_faulty_evaluator_is_told_its_fault(evaluation: Any, told: str) -> None:
    check_evaluator(evaluator_giving(lambda c: Evaluation(scores={"x": [None] * len(c)})))
    with pytest.raises(AssertionError, match=told):
        check_evaluator(evaluator_giving(evaluation))


def test_an_evaluator_cannot_need_what_there_is_not() -> None:
    with pytest.raises(AssertionError, match=r"needs \['internet'\]"):
        check_evaluator(evaluator_giving(lambda _: Evaluation(corpus={"x": 1.0}), frozenset({"internet"})))


class GuessingJudge(LengthJudge):
    def compare(self, pairs: Sequence[Any]) -> list[Verdict]:
        return [Verdict(winner="first", outcome="invalid") for _ in pairs]


class ShortJudge(LengthJudge):
    def grade(self, completions: Sequence[Completion]) -> list[Grade]:
        return super().grade(completions)[:-1]


class IdleJudge(LengthJudge):
    can = frozenset()


@pytest.mark.parametrize(
    ("judge", "told"),
    [
        (GuessingJudge, "winner is 'first' with outcome 'invalid'"),
        (ShortJudge, "6 grades for 7 completions"),
        (IdleJudge, "can is empty"),
    ],
)
def test_a_faulty_judge_is_told_its_fault(judge: type[LengthJudge], told: str) -> None:
    check_judge(LengthJudge())
    with pytest.raises(AssertionError, match=told):
        check_judge(judge())


class OneSplit:
    def __init__(self, rows: Any, strict: bool = True) -> None:
        self.make, self.strict = rows, strict

    def rows(self, split: str) -> Any:
        from rlhf_core.contract.errors import RLHFError

        if self.strict and split != "train":
            raise RLHFError(f"no split {split!r}; there is train")
        return iter(self.make())


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        (OneSplit(list), "has no row"),
        (OneSplit(lambda: [{"a": {1, 2}}]), "is not plain JSON"),
        (OneSplit(lambda: [{"a": random.random()}]), "called twice"),
        (OneSplit(lambda: [{"id": 1}, {"id": 1}]), "an id twice"),
        (OneSplit(lambda: [{"a": 1}], strict=False), "must raise RLHFError"),
    ],
)
def test_a_faulty_dataset_is_told_its_fault(dataset: OneSplit, told: str) -> None:
    check_dataset(OneSplit(lambda: [{"id": 1, "prompt": "a"}]))
    with pytest.raises(AssertionError, match=told):
        check_dataset(dataset)


class OnceOnly:
    started = False

    def start(self, run: Path, config: Mapping[str, object]) -> None:
        if self.started:
            raise FileExistsError(run)
        self.started = True

    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def finish(self) -> None: ...


def test_a_tracker_that_cannot_go_on_with_a_run_is_told() -> None:
    with pytest.raises(AssertionError, match=r"start\(\) raised FileExistsError"):
        check_tracker(OnceOnly())


class Unfrozen:
    def load(self, context: LoadContext) -> Trunk:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(context.path)
        return Trunk(model=model, tokenizer=AutoTokenizer.from_pretrained(context.path), lora=None, adapter=None)


def test_a_backbone_that_freezes_nothing_is_told() -> None:
    with pytest.raises(AssertionError, match="requires a gradient: freeze the trunk"):
        check_backbone(Unfrozen())


class Silent(Options):
    beta: float = Field(default=0.1)


class Required(Options):
    beta: float = Field(gt=0)
    """How much."""


class Scorer(LengthReward):
    def __init__(self, options: Options) -> None:
        self.options = options


def declared(**changes: Any) -> Component:
    here = f"{__name__}:Scorer"
    return Component(**{"kind": "reward", "name": "planted", "summary": "By length", "target": here, **changes})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"summary": "two\nlines"}, "one line of text"),
        ({"summary": "x" * 200}, "has 200 characters"),
        ({"target": f"{__name__}:Nobody"}, "raised AttributeError"),
        ({"api": 99}, "speaks version 99"),
        ({"options": f"{__name__}:Silent"}, "Silent.beta has no docstring"),
        ({"options": f"{__name__}:Required"}, "beta: .*give options= that build it"),
        ({"options": f"{__name__}:Scorer"}, "must be a subclass of contract.options.Options"),
    ],
)
def test_a_faulty_declaration_is_told_its_fault(changes: dict[str, Any], told: str) -> None:
    check_component(declared())
    with pytest.raises(AssertionError, match=told) as error:
        check_component(declared(**changes))
    assert str(error.value).startswith("reward planted: ")


def test_options_that_are_given_build_the_component() -> None:
    check_component(declared(options=f"{__name__}:Required"), options={"beta": 1.0})
    with pytest.raises(AssertionError, match=r"beta = -1\.0: "):
        check_component(declared(options=f"{__name__}:Required"), options={"beta": -1.0})


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import pydantic", "imports pydantic"),
        ("x = 1", "has no rlhf_components"),
        ("def rlhf_components(): return []", "not marked with @hookimpl"),
        ("from rlhf_core import hookimpl\n@hookimpl\ndef rlhf_components(): return []", "yields no component"),
        ("import nowhere_at_all", "fails: ModuleNotFoundError"),
    ],
)
def test_a_faulty_module_is_told_its_fault(
    source: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"planted_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(AssertionError, match=told):
        check_plugin(name)
