"""What a judge will be asked, how much it will read and what that costs: counted where nobody is asked yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from rlhf_core.contract.judge import Cost, Pair
from rlhf_core.contract.records import prompt_text
from rlhf_core.contract.reward import Completion, Scores
from rlhf_core.data.report import DataReport
from rlhf_core.registry.catalog import Catalog
from rlhf_core.training.precision import choose_device

from ..lending import Lender
from ..rehearsal.pace import Pace, Watch
from ..written.resolved import Evaluate, Recipe
from ..written.sections import NAMED_BY
from .evaluating import load_prompts

CHARACTERS_PER_TOKEN = 4
"""Of English text, for judges whose tokenizer is not known here."""
_JUDGE: Final = NAMED_BY["judge"]

Asked: TypeAlias = Sequence[Completion] | Sequence[Pair]
Pricing: TypeAlias = Callable[[Asked], Cost | None]


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What a judge will be asked.

    Args:
        count: replies, over the whole training or evaluation. tokens: of prompts and completions shown to it, about;
            its own instructions and its replies come on top.
        based_on: how it was counted.
        cost: of all, by the judge's own word; None where it says nothing of it.
    """

    judge: str
    count: int
    tokens: int
    based_on: str
    cost: Cost | None = None


class Unasked:
    """Stands where a judge would score, asks nobody, and counts what would have been asked. Every score is 0.

    Args:
        section: of the judge.
    """

    name = "unasked"

    def __init__(self, watch: Watch, section: Mapping[str, Any], price: Pricing) -> None:
        self.judge = str(section[_JUDGE])
        self._watch, self._price = watch, price
        self._counts: Counter[str] = Counter()
        self._seen: list[Completion] = []

    def score(self, completions: Sequence[Completion]) -> Scores:
        self._counts["evaluation" if self._watch.evaluating else "step"] += len(completions)
        self._seen += completions
        return Scores([0.0] * len(completions))

    def questions(self, pace: Pace) -> Questions:
        """Over the whole training, each step and each evaluation as what was seen of them."""
        per_step, per_evaluation = self._counts["step"], self._counts["evaluation"]
        count = per_step * pace.steps + per_evaluation * pace.evaluations
        share = count / max(1, per_step + per_evaluation * pace.evaluations_seen)
        characters = sum(len(one.prompt) + len(one.text) for one in self._seen)
        return Questions(
            judge=self.judge, count=count, tokens=round(share * characters / CHARACTERS_PER_TOKEN),
            based_on=f"{per_step} per step × {pace.steps} + {per_evaluation} per evaluation × {pace.evaluations}",
            cost=together([self._price(self._seen)], share),
        )  # fmt: skip


def judge_of(section: Any) -> Mapping[str, Any] | None:
    """The section of the judge that a section holds, at any depth."""
    if isinstance(section, Mapping):
        if isinstance(section.get(_JUDGE), str):
            return section
        section = list(section.values())
    if isinstance(section, list | tuple):
        return next(filter(None, map(judge_of, section)), None)
    return None


def pricing(section: Mapping[str, Any], catalog: Catalog, folder: Path) -> Pricing:
    """What a judge's class says of the cost of questions; it is not built, which may take a key.

    Raises: MissingComponent for a judge that needs a package that is not there.
    """
    found = catalog.find("judge", str(section[_JUDGE]))
    options = found.options_class().model_validate({key: value for key, value in section.items() if key != _JUDGE})
    cost = getattr(found.target(), "cost", None)
    return lambda asked: cost(options, asked, str(folder)) if cost is not None and asked else None


def together(costs: Sequence[Cost | None], share: float = 1.0) -> Cost | None:
    """The sum of what is known of, times ``share``; without dollars where one is without."""
    known = [cost for cost in costs if cost is not None]
    if not known:
        return None
    dollars = [cost.usd for cost in known if cost.usd is not None]
    return replace(
        known[0], prompt_tokens=share * sum(cost.prompt_tokens for cost in known),
        reply_tokens=share * sum(cost.reply_tokens for cost in known),
        usd=share * sum(dollars) if len(dollars) == len(known) else None,
    )  # fmt: skip


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
    price = pricing(evaluate.judge.plain(), catalog, evaluate.folder)
    asked, costs = 0, list[Cost | None]()
    prompts: dict[str, list[str]] = {}
    own = _own_prompts(evaluate, catalog)
    for name in options.runs or writing:
        prompts[name] = own if own is not None else _held_out(reports.get(name))
        # Beside a baseline each answer is compared in both orders; the baseline itself is graded.
        compared = options.baseline not in (None, name)
        replies = options.sampling.n * (2 if compared else 1)
        asked += len(prompts[name]) * replies
        costs.append(together([price(_asked(prompts[name], options.sampling.max_new_tokens, compared))], replies))
    based_on = ", ".join(f"{name} {len(found)} prompts" for name, found in prompts.items())
    based_on += f"; {options.sampling.n} answers each" + (", compared in both orders" if options.baseline else "")
    shown = 2 if options.baseline else 1
    tokens = asked * shown * options.sampling.max_new_tokens
    return Questions(
        judge=evaluate.judge.name, count=asked, tokens=tokens, based_on=based_on, cost=together(costs)
    )  # fmt: skip


def _own_prompts(evaluate: Evaluate, catalog: Catalog) -> list[str] | None:
    """Those that the evaluation names; None where it asks those that each run held out."""
    data = evaluate.options.data
    if data is None:
        return None
    lender = Lender(catalog, choose_device("auto"), evaluate.folder)
    return [prompt_text(record.prompt) for record in load_prompts(data, "train", lender)]


def _held_out(report: DataReport | None) -> list[str]:
    """Stand-ins as long as the held-out prompts of a stage are on average."""
    if report is None:
        return []
    return [_filler(report.prompt_tokens.mean if report.prompt_tokens else 0.0)] * report.kept


def _asked(prompts: Sequence[str], answer_tokens: int, compared: bool) -> Asked:
    """A question per prompt, about answers as long as they may be."""
    answers = [Completion(prompt=prompt, text=_filler(answer_tokens)) for prompt in prompts]
    return [Pair(first=answer, second=answer) for answer in answers] if compared else answers


def _filler(tokens: float) -> str:
    return "x" * round(tokens * CHARACTERS_PER_TOKEN)
