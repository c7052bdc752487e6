"""One optimizer step: from a minibatch of rows to moved weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from ..contract.errors import RLHFError, TrainingStopped
from ..contract.policy import Params
from ..contract.rows import Row
from ..contract.trainer import Check, Trainer
from .batching import count_over_ranks
from .context import TrainablePolicy
from .invariants.movement import Movement
from .microbatches import MicroBatches
from .options import TrainingOptions
from .precision import autocast
from .world import World

SHOWN = 3
"""Rows that a message names."""


class Updates:
    """The optimizer over a trainer's parameter groups.

    Args:
        groups: what ``trainer.prepare`` returned.
        dtype: of forward passes.
        movement: sees each step's gradients and the weights after it.

    Raises:
        RLHFError when ``learning_rates`` names a group there is not.
        RuntimeError when groups and trained weights are not the same set: a weight would stay still, or not be saved.
    """

    def __init__(
        self,
        trainer: Trainer[Any],
        policy: TrainablePolicy,
        groups: Mapping[str, Params],
        options: TrainingOptions,
        *,
        dtype: torch.dtype,
        world: World,
        movement: Movement | None = None,
    ) -> None:
        unknown = sorted(set(options.learning_rates) - set(groups))
        if unknown:
            raise RLHFError(f"training.learning_rates.{unknown[0]}: the trainer's groups are {', '.join(groups)}")
        _require_all_trained(groups, policy.trained())
        self._trainer = trainer
        self._options = options
        self._device = policy.device
        self._dtype = dtype
        self._world = world
        self._movement = movement or Movement(policy, world)
        self.micro_batches = MicroBatches(options.micro_batch_tokens, policy)
        self._peaks = {name: options.learning_rates.get(name, options.learning_rate) for name in groups}
        self._parameters = [parameter for group in groups.values() for parameter in group]
        self.optimizer = torch.optim.AdamW(
            [{"params": list(group), "name": name} for name, group in groups.items()],
            lr=options.learning_rate,
            betas=options.adam_betas,
            eps=options.adam_epsilon,
            weight_decay=options.weight_decay,
        )

    def step(self, rows: Sequence[Row], factor: float, checks: Sequence[Check] = ()) -> dict[str, float]:
        """Gradients of the whole minibatch, clipped; then one step of AdamW at ``factor`` times the peak rates.

        Args:
            rows: this rank's share of the minibatch; maybe none.
            checks: what must hold before the weights move.
        Returns: the loss's metrics over all ranks, ``loss`` and ``grad_norm``.
        Raises: TrainingStopped, the weights as they were, for a loss or gradient that is not finite, or a failed check.
        """
        metrics = self._accumulate(rows)
        _require_checks(checks, metrics)
        self._movement.before_step()
        self._world.sum_gradients(self._parameters)
        limit = math.inf if self._options.max_grad_norm is None else self._options.max_grad_norm
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, limit))
        if not math.isfinite(norm):
            raise TrainingStopped(
                f"the gradient's norm is {norm} while the loss is {metrics['loss']:.6g}; nothing of this step is "
                "saved: lower training.learning_rate, or look at the rows"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self._peaks[group["name"]] * factor
        self.optimizer.step()
        self._movement.after_step(self.optimizer)
        self.optimizer.zero_grad(set_to_none=True)
        return {**metrics, "grad_norm": norm}

    def learning_rates(self) -> dict[str, float]:
        """Of the last step, by group."""
        return {f"learning_rate/{group['name']}": float(group["lr"]) for group in self.optimizer.param_groups}

    def _accumulate(self, rows: Sequence[Row]) -> dict[str, float]:
        """Sum the gradients of micro-batches; metrics of the minibatch over all ranks."""
        totals = count_over_ranks(rows, self._world)
        parts: list[Sequence[Row]] = []
        losses: list[Tensor] = []
        sums: dict[str, Tensor] = {}
        for part in self.micro_batches.of(rows):
            with autocast(self._dtype, self._device), self.micro_batches.watched(part):
                loss = self._trainer.loss(part, totals)
            loss.total.backward()  # type: ignore[no-untyped-call]
            parts.append(part)
            losses.append(loss.total.detach())
            add_up(sums, {"loss": loss.total, **loss.metrics})
        metrics = self._world.sum(to_floats(sums))
        if not math.isfinite(metrics["loss"]):
            raise TrainingStopped(
                f"the loss is {metrics['loss']} ({_where(parts, losses)}); nothing of this step is saved: lower "
                "training.learning_rate, or look at the rows"
            )
        return metrics


def add_up(sums: dict[str, Tensor], metrics: Mapping[str, Tensor]) -> None:
    """Add scalars to running sums, in float64 and on their device, so that nothing waits for it."""
    for name, value in metrics.items():
        number = value.detach().double()
        sums[name] = sums[name] + number if name in sums else number


def to_floats(scalars: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars as numbers, in one transfer per device."""
    if len({value.device for value in scalars.values()}) > 1:
        return {name: float(value) for name, value in scalars.items()}
    return dict(zip(scalars, torch.stack(list(scalars.values())).tolist(), strict=True)) if scalars else {}


def _require_all_trained(groups: Mapping[str, Params], trained: Mapping[str, Parameter]) -> None:
    grouped = {id(parameter): name for name, group in groups.items() for parameter in group}
    frozen = [name for name, group in groups.items() if not all(parameter.requires_grad for parameter in group)]
    if frozen:
        raise RuntimeError(f"parameter group {frozen[0]!r} of the trainer holds frozen weights: they would never move")
    for name, parameter in trained.items():
        if grouped.pop(id(parameter), None) is None:
            raise RuntimeError(f"the policy trains {name}, which is in no group that the trainer's prepare() returned")
    if grouped:
        raise RuntimeError(
            f"parameter group {next(iter(grouped.values()))!r} holds weights that the policy does not know: "
            "they would not be saved; make them with train_role() or add_head()"
        )


def _require_checks(checks: Sequence[Check], metrics: Mapping[str, float]) -> None:
    for check in checks:
        if check.metric not in metrics:
            raise RuntimeError(f"a check of the trainer names {check.metric!r}; the loss has {', '.join(metrics)}")
        found = metrics[check.metric]
        if not abs(found - check.expected) <= check.tolerance:
            raise TrainingStopped(
                f"first step: {check.metric} is {found:.6g}, expected {check.expected:.6g} ± {check.tolerance:g}: "
                f"{check.meaning}"
            )


def _where(parts: Sequence[Sequence[Row]], losses: Sequence[Tensor]) -> str:
    for part, loss in zip(parts, losses, strict=True):
        if not bool(torch.isfinite(loss)):
            names = ", ".join(row.record_id for row in part[:SHOWN])
            return f"rows {names}" + (f" and {len(part) - SHOWN} more" if len(part) > SHOWN else "")
    return "rows of another process"
