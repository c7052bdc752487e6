"""Held-out metrics and samples during training. Nothing here moves a weight or a random state."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..contract.errors import RLHFError, TrainingStopped
from ..contract.policy import SamplingSpec
from ..contract.rows import Row
from ..contract.trainer import PER_ROW, TrainContext, Trainer
from ..math.averages import reported
from ..policy.batching import micro_batches
from .batching import count
from .health.text import text_health
from .options import TrainingOptions
from .precision import autocast
from .randomness import derive
from .updates import add_up, to_floats
from .world import World


@dataclass(frozen=True)
class Measured:
    """Metrics over all held-out rows, on every rank; lines of ``held_out.jsonl``, on the first."""

    metrics: dict[str, float]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Answers:
    """Lines of ``samples.jsonl``, on the first rank; and how they read (``text/NAME``), on every rank."""

    samples: list[dict[str, Any]]
    health: dict[str, float]


class Validation:
    """Evaluates a trainer on the same held-out rows and prompts every time, with the same seed.

    Args:
        rows: all held-out rows; at most ``options.eval_rows`` of them are taken, chosen by ``seed``.
        pass_tokens: most tokens in one forward pass.
        known: words of the training texts.
    """

    def __init__(
        self,
        trainer: Trainer[Any],
        context: TrainContext,
        rows: Sequence[Row],
        options: TrainingOptions,
        *,
        seed: int,
        dtype: torch.dtype,
        world: World,
        pass_tokens: int,
        known: Set[str] = frozenset(),
    ) -> None:
        self._known = known
        self._trainer = trainer
        self._context = context
        self._seed = derive(seed, "validation")
        self._budget = pass_tokens
        self._dtype = dtype
        self._world = world
        self.rows = _choose(rows, options.eval_rows, self._seed)
        self.prompts = _distinct_prompts(self.rows, options.sample_prompts) if trainer.generates else []

    @torch.no_grad()
    def measured(self) -> Measured:
        """Over all rows, exact whatever the micro-batches. Raises: TrainingStopped for a loss that is not finite."""
        totals = count(self.rows, sampled=self._context.sampling.n)
        parts = micro_batches(self.rows, self._budget)
        sums: dict[str, Tensor] = {}
        places = {id(row): place for place, row in enumerate(self.rows)}
        apart: dict[int, dict[str, Any]] = {}
        for start in range(0, len(parts), self._world.size):
            # All ranks take part in each round, since a trainer may reduce over ranks; surplus results are dropped.
            mine = start + self._world.rank
            with autocast(self._dtype, self._context.policy.device):
                found = self._trainer.validate(parts[min(mine, len(parts) - 1)], totals, seed=self._seed)
            if mine < len(parts):
                add_up(sums, {name: value for name, value in found.items() if not name.startswith(PER_ROW)})
                told = _row_by_row(parts[mine], found, type(self._trainer).__name__)
                apart.update(zip((places[id(row)] for row in parts[mine]), told, strict=False))
        metrics = reported(self._world.sum(to_floats(sums)))
        if not math.isfinite(metrics.get("loss", 0.0)):
            raise TrainingStopped(
                f"the validation loss is {metrics['loss']}; nothing of this step is saved: lower training.learning_rate"
            )
        rows = {place: row for share in self._world.gather(apart) for place, row in share.items()}
        return Measured(metrics, [rows[place] for place in sorted(rows)])

    @torch.no_grad()
    def answers(self) -> Answers:
        """The policy's answers to the held-out prompts, scored where the stage has a reward."""
        samples = self._samples() if self._world.first else []
        texts = [(str(sample["completion"]), bool(sample["finished"])) for sample in samples]
        return Answers(samples, self._world.gather(text_health(texts, self._known))[0])

    def _samples(self) -> list[dict[str, Any]]:
        if not self.prompts:
            return []
        once: SamplingSpec = dataclasses.replace(self._context.sampling, n=1)
        with autocast(self._dtype, self._context.policy.device):
            rollouts = self._context.policy.sample(self.prompts, once, seed=self._seed)
        completions = self._context.completions(rollouts)
        samples: list[dict[str, Any]] = [
            {
                "record_id": completion.group,
                "prompt": completion.prompt,
                "completion": completion.text,
                "finished": completion.finished,
            }
            for completion in completions
        ]
        if self._context.reward is None:
            return samples
        scores = self._context.score(rollouts).total
        return [{**sample, "score": score} for sample, score in zip(samples, scores, strict=True)]


def _row_by_row(rows: Sequence[Row], found: Mapping[str, Tensor], owner: str) -> list[dict[str, Any]]:
    """What a trainer tells of each row by itself, a line per row; none where it tells nothing.

    Raises: RuntimeError, a mistake of the trainer, where it is not a number per row.
    """
    columns = {name.removeprefix(PER_ROW): value for name, value in found.items() if name.startswith(PER_ROW)}
    for name, value in columns.items():
        if value.shape != (len(rows),):
            raise RuntimeError(
                f"{owner}: validate() gives {PER_ROW}{name} of shape {list(value.shape)} for {len(rows)} rows: "
                "give one number per row"
            )
    numbers = {name: value.detach().double().tolist() for name, value in columns.items()}
    named = ((row, {name: values[index] for name, values in numbers.items()}) for index, row in enumerate(rows))
    return [{"record_id": row.record_id, **values} for row, values in named] if numbers else []


def require_best(metrics: dict[str, float], name: str) -> float:
    """The metric that picks the best checkpoint.

    Raises: RLHFError when validation has no such metric, TrainingStopped when it is not finite.
    """
    if name not in metrics:
        raise RLHFError(f"best: validation has no metric {name!r}; there are: {', '.join(metrics) or 'none'}")
    if not math.isfinite(metrics[name]):
        raise TrainingStopped(f"the validation metric {name} is {metrics[name]}; nothing of this step is saved")
    return metrics[name]


def _choose(rows: Sequence[Row], limit: int | None, seed: int) -> list[Row]:
    if limit is None or len(rows) <= limit:
        return list(rows)
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:limit]
    return [rows[index] for index in sorted(chosen.tolist())]


def _distinct_prompts(rows: Sequence[Row], limit: int) -> list[Row]:
    """Bare rows of the first ``limit`` different prompts."""
    first = {row.prompt: row.record_id for row in reversed(rows)}
    order = dict.fromkeys(row.prompt for row in rows)
    return [Row(record_id=first[prompt], prompt=prompt) for prompt in order][:limit]
