"""What a judge will be asked, and how much it will read: counted where nobody is asked yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlhf_core.contract.reward import Completion, Scores
from rlhf_core.data.report import DataReport
from rlhf_core.registry.catalog import Catalog
from rlhf_core.training.precision import choose_device

from .evaluating import load_prompts
from .lending import Lender
from .pace import Pace, Watch
from .resolved import Recipe

CHARACTERS_PER_TOKEN = 4
"""Of English text, for judges whose tokenizer is not known here."""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What a judge will be asked.

    Args:
        count: replies, over the whole training or evaluation. tokens: of prompts and completions shown to it, about;
            its own instructions and its replies come on top.
        based_on: how it was counted.
    """

    judge: str
    count: int
    tokens: int
    based_on: str


class Unasked:
    """Stands where a judge would score, asks nobody, and counts what would have been asked. Every score is 0."""

    name = "unasked"

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._counts: Counter[str] = Counter()
        self._characters = 0

    def score(self, completions: Sequence[Completion]) -> Scores:
        self._counts["evaluation" if self._watch.evaluating else "step"] += len(completions)
        self._characters += sum(len(one.prompt) + len(one.text) for one in completions)
        return Scores([0.0] * len(completions))

    def questions(self, judge: str, pace: Pace) -> Questions:
        per_step, per_evaluation = self._counts["step"], self._counts["evaluation"]
        count = per_step * pace.steps + per_evaluation * pace.evaluations
        seen = max(1, per_step + per_evaluation * pace.evaluations_seen)
        return Questions(
            judge=judge, count=count, tokens=round(count * self._characters / seen / CHARACTERS_PER_TOKEN),
            based_on=f"{per_step} per step × {pace.steps} + {per_evaluation} per evaluation × {pace.evaluations}",
        )  # fmt: skip


def judge_of(section: Any) -> str | None:
    """The judge that a section names, at any depth."""
    if isinstance(section, Mapping):
        named = section.get("judge")
        if isinstance(named, str):
            return named
        section = list(section.values())
    if isinstance(section, list | tuple):
        return next(filter(None, map(judge_of, section)), None)
    return None


def evaluation_questions(recipe: Recipe, catalog: Catalog, reports: Mapping[str, DataReport]) -> Questions | None:
    """What the judge of the recipe's evaluation will be asked; None without a judge.

    Args:
        reports: of the held-out data, by stage: the prompts where the evaluation names none.
    """
    evaluate = recipe.evaluate
    if evaluate is None or evaluate.judge is None:
        return None
    options = evaluate.options
    writing = [stage.name for stage in recipe.stages if stage.trainer.found.target().generates]
    asked = 0
    prompts: dict[str, int] = {}
    lender = Lender(catalog, choose_device("auto"), evaluate.folder)
    own = load_prompts(options.data, "train", lender) if options.data is not None else None
    for name in options.runs or writing:
        prompts[name] = len(own) if own is not None else reports[name].kept if name in reports else 0
        # Beside a baseline each answer is compared in both orders; the baseline itself is graded.
        orders = 2 if options.baseline not in (None, name) else 1
        asked += prompts[name] * options.sampling.n * orders
    based_on = ", ".join(f"{name} {count} prompts" for name, count in prompts.items())
    based_on += f"; {options.sampling.n} answers each" + (", compared in both orders" if options.baseline else "")
    shown = 2 if options.baseline else 1
    tokens = asked * shown * options.sampling.max_new_tokens
    return Questions(judge=evaluate.judge.name, count=asked, tokens=tokens, based_on=based_on)
