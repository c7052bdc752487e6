"""What every trainer must do: laws of its loss on a tiny policy, then training and resuming by the engine itself."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import Record
from rlhf_core.contract.reward import RewardSource
from rlhf_core.contract.rows import Row, Totals
from rlhf_core.contract.trainer import PER_ROW, Next, Trainer
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.store.rows import load_rows, save_rows
from rlhf_core.training.batching import count
from rlhf_core.training.context import build_context
from rlhf_core.training.world import World

from . import samples
from .expecting import expecting
from .lending import LengthReward
from .policy import stir, tiny_policy
from .resuming import check_resume

SAMPLING: Final = SamplingSpec(max_new_tokens=8)
TOLERANCE: Final = 1e-3
"""Relative, between sums that are rounded differently."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A prepared trainer and what it works on."""

    name: str
    trainer: Trainer[Any]
    policy: TrunkPolicy
    rows: list[Row]
    groups: Mapping[str, Sequence[torch.nn.Parameter]]


def check_trainer(
    trainer: Trainer[Any], *, records: Sequence[Record] | None = None, reward: RewardSource | None = None
) -> None:
    """The trainer's declarations hold, its start is as it says, its loss is a sum over rows, and a cut run resumes.

    Args:
        trainer: fresh, as built from its options.
        records: at least four to learn from, for trainers with a record of their own; the ready-made ones by default.
        reward: its reward source; by default the length of the text.
    Raises: AssertionError in one line.
    """
    name = type(trainer).__name__
    _check_declaration(name, trainer)
    learnt = samples.records(trainer.Record) if records is None else list(records)
    source = LengthReward() if reward is None else reward
    fresh = copy.deepcopy(trainer)
    bench = _prepare(name, trainer, learnt, source)
    collected = _check_collect(bench)
    totals = count(collected)
    _check_start(bench, collected, totals)
    # At the start adapters and heads are zero, so that much is equal or zero that must not stay so.
    stir(bench.policy)
    _check_saved_rows(bench, collected, totals)
    _check_sums(bench, collected, totals)
    _check_gradients(bench, collected, totals)
    _check_validation(bench)
    _check_steps(bench, collected, totals)
    check_resume(name, fresh, learnt, source, SAMPLING)


def _check_declaration(name: str, trainer: Trainer[Any]) -> None:
    for attribute, base in (("Record", Record), ("Row", Row)):
        declared = getattr(trainer, attribute, None)
        fits = isinstance(declared, type) and issubclass(declared, base)
        assert fits, f"{name}.{attribute} must be {base.__name__} or a subclass, found {declared!r}"
    for attribute in ("inner_epochs", "minibatches"):
        number = getattr(trainer, attribute, None)
        fits = type(number) is int and number >= 1
        assert fits, f"{name}.{attribute} must be an int of 1 or more, found {number!r}"
    for attribute in ("dropout_ok", "generates"):
        value = getattr(trainer, attribute, None)
        assert type(value) is bool, f"{name}.{attribute} must be True or False, found {value!r}"
    assert trainer.best is None or trainer.best[1] in ("min", "max"), (
        f"{name}.best must be None or (metric, 'min' or 'max'), found {trainer.best!r}"
    )


def _prepare(name: str, trainer: Trainer[Any], records: Sequence[Record], reward: RewardSource) -> Bench:
    policy = tiny_policy()
    context = build_context(
        policy, sampling=SAMPLING, reward=reward, records={record.id: record for record in records},
        labels=samples.LABELS, world=World.current(),
    )  # fmt: skip
    with expecting(f"{name}: prepare()"):
        groups = trainer.prepare(context)
    filled = bool(groups) and all(len(parameters) for parameters in groups.values())
    assert filled, f"{name}: prepare() must give parameters by group name, found {groups!r}"
    given = {id(parameter) for group in groups.values() for parameter in group}
    for label, parameter in policy.trained().items():
        assert id(parameter) in given, f"{name}: prepare() left {label} out of its groups: it would never be trained"
    assert all(parameter.requires_grad for group in groups.values() for parameter in group), (
        f"{name}: prepare() returned frozen parameters: take what train_role() and add_head() return"
    )
    rows = [policy.codec.encode(record) for record in records]
    return Bench(name=name, trainer=trainer, policy=policy, rows=rows, groups=groups)


def _check_collect(bench: Bench) -> list[Row]:
    """Collects twice, with the global random state moved between. Returns the rows."""
    before = {label: value.clone() for label, value in bench.policy.state().items()}
    first, second = (_collect(bench) for _ in range(2))
    assert first, f"{bench.name}: collect() of {len(bench.rows)} rows gave none"
    for row in first:
        assert isinstance(row, bench.trainer.Row), (
            f"{bench.name}: collect() gave a {type(row).__name__}, but Row says {bench.trainer.Row.__name__}"
        )
        assert row.completions, f"{bench.name}: collect() gave {row.record_id} without a completion"
    for one, other in zip(first, second, strict=True):
        _require_same_row(bench.name, one, other)
    moved = [label for label, value in bench.policy.state().items() if not torch.equal(before[label], value)]
    assert not moved, f"{bench.name}: collect() changed the weights {moved[0]}"
    return first


def _collect(bench: Bench) -> list[Row]:
    torch.rand(3)
    with torch.no_grad(), expecting(f"{bench.name}: collect()"):
        return list(bench.trainer.collect(bench.rows, seed=7))


def _require_same_row(name: str, one: Row, other: Row) -> None:
    for entry in fields(one):
        first, second = getattr(one, entry.name), getattr(other, entry.name)
        assert _alike(first, second), (
            f"{name}: collect() called twice with one seed gives another {entry.name} for {one.record_id}: "
            "derive what is random from the seed"
        )


def _alike(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        return torch.allclose(first, second, rtol=TOLERANCE, atol=1e-5)
    if isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second):
        return all(_alike(one, other) for one, other in zip(first, second, strict=True))
    return bool(first == second)


def _check_start(bench: Bench, rows: Sequence[Row], totals: Totals) -> None:
    numbers = _loss(bench, rows, totals)
    for check in bench.trainer.checks():
        assert check.metric in numbers, (
            f"{bench.name}: a check is of {check.metric!r}; the loss has {', '.join(numbers)}"
        )
        assert abs(numbers[check.metric] - check.expected) <= check.tolerance, (
            f"{bench.name}: {check.metric} starts at {numbers[check.metric]:.6g}, its own check expects "
            f"{check.expected:g} ± {check.tolerance:g}: {check.meaning}"
        )


def _check_saved_rows(bench: Bench, rows: Sequence[Row], totals: Totals) -> None:
    """A checkpoint in the middle of a batch holds its rows: the loss must need nothing else of them."""
    with tempfile.TemporaryDirectory() as folder, expecting(f"{bench.name}: saving collected rows"):
        save_rows(Path(folder), rows)
        restored = load_rows(Path(folder), bench.trainer.Row)
    with torch.no_grad():
        before, after = _loss(bench, rows, totals), _loss(bench, restored, totals)
    for metric, value in before.items():
        assert after[metric] == value, (
            f"{bench.name}: loss() of saved and restored rows gives {metric} = {after[metric]:.6g}, before "
            f"{value:.6g}: keep in the row what belongs to it"
        )


def _check_sums(bench: Bench, rows: Sequence[Row], totals: Totals) -> None:
    """Micro-batches are summed, so the loss of all rows is the sum of each row's, all divided by the same totals."""
    with torch.no_grad():
        _require_additive(f"{bench.name}: loss()", lambda part: _loss(bench, part, totals), rows)
        _require_additive(f"{bench.name}: batch_metrics()", lambda part: _batch_metrics(bench, part, totals), rows)
        _check_per_row(bench, rows, totals)


def _check_per_row(bench: Bench, rows: Sequence[Row], totals: Totals) -> None:
    """Each row's own loss is that of the row alone."""
    per_row = bench.trainer.loss(rows, totals).per_row
    if per_row is None:
        return
    assert per_row.shape == (len(rows),), (
        f"{bench.name}: loss().per_row has shape {list(per_row.shape)} for {len(rows)} rows; give one number per row"
    )
    for row, own in zip(rows, per_row.tolist(), strict=True):
        alone = _loss(bench, [row], count([row]))["loss"]
        assert abs(own - alone) <= TOLERANCE * max(abs(alone), 1.0), (
            f"{bench.name}: loss().per_row says {own:.6g} of {row.record_id}, whose loss alone is {alone:.6g}"
        )


def _require_additive(what: str, measure: Any, rows: Sequence[Row]) -> None:
    whole: dict[str, float] = measure(rows)
    sums = dict.fromkeys(whole, 0.0)
    for row in rows:
        single = measure([row])
        assert set(single) == set(whole), (
            f"{what} gives the metrics {sorted(single)} for one row, {sorted(whole)} for all"
        )
        for metric, value in single.items():
            sums[metric] += value
    for metric, value in whole.items():
        assert abs(sums[metric] - value) <= TOLERANCE * max(abs(value), 1.0), (
            f"{what} gives {metric} = {value:.6g} for {len(rows)} rows together, but {sums[metric]:.6g} for one after "
            "the other: sum over rows and divide by totals, never by the rows at hand"
        )


def _check_gradients(bench: Bench, rows: Sequence[Row], totals: Totals) -> None:
    for parameters in bench.groups.values():
        for parameter in parameters:
            parameter.grad = None
    loss = bench.trainer.loss(rows, totals)
    assert loss.total.requires_grad, f"{bench.name}: loss().total has no graph: was something detached?"
    loss.total.backward()  # type: ignore[no-untyped-call]
    for group, parameters in bench.groups.items():
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        assert len(gradients) == len(parameters), (
            f"{bench.name}: {len(parameters) - len(gradients)} of {len(parameters)} parameters of group {group!r} take "
            "no part in the loss"
        )
        assert all(bool(gradient.isfinite().all()) for gradient in gradients), (
            f"{bench.name}: a gradient of group {group!r} is not finite"
        )
        assert any(bool(gradient.any()) for gradient in gradients), f"{bench.name}: group {group!r} has no gradient"


def _check_validation(bench: Bench) -> None:
    totals = count(bench.rows, sampled=SAMPLING.n)
    with torch.no_grad(), expecting(f"{bench.name}: validate()"):
        metrics = bench.trainer.validate(bench.rows, totals, seed=7)
    for name, value in metrics.items():
        assert not name.startswith(PER_ROW) or value.shape == (len(bench.rows),), (
            f"{bench.name}: validate() gives {name} of shape {list(value.shape)} for {len(bench.rows)} rows; "
            "give one number per row"
        )
    whole = {name: value for name, value in metrics.items() if not name.startswith(PER_ROW)}
    found = _numbers(f"{bench.name}: validate()", whole)
    best = bench.trainer.best
    assert best is None or best[0] in found, (
        f"{bench.name}: best is {best!r}, but validate() gives {', '.join(found) or 'nothing'}"
    )


def _check_steps(bench: Bench, rows: Sequence[Row], totals: Totals) -> None:
    """What the engine calls between steps, with the numbers it has."""
    trainer, name = bench.trainer, bench.name
    with torch.no_grad():
        step, batch = _loss(bench, rows, totals), _batch_metrics(bench, rows, totals)
    with expecting(f"{name}: after_step()"):
        asked = trainer.after_step({**step, "grad_norm": 1.0})
    assert isinstance(asked, Next), f"{name}: after_step() must give a Next, found {asked!r}"
    with expecting(f"{name}: after_batch()"):
        trainer.after_batch(batch)


def _loss(bench: Bench, rows: Sequence[Row], totals: Totals) -> dict[str, float]:
    with expecting(f"{bench.name}: loss()"):
        loss = bench.trainer.loss(rows, totals)
    assert "loss" not in loss.metrics, f"{bench.name}: the metric 'loss' is loss().total; name yours otherwise"
    return _numbers(f"{bench.name}: loss()", {"loss": loss.total, **loss.metrics})


def _batch_metrics(bench: Bench, rows: Sequence[Row], totals: Totals) -> dict[str, float]:
    with expecting(f"{bench.name}: batch_metrics()"):
        return _numbers(f"{bench.name}: batch_metrics()", bench.trainer.batch_metrics(rows, totals))


def _numbers(what: str, metrics: Mapping[str, Tensor]) -> dict[str, float]:
    for metric, value in metrics.items():
        scalar = isinstance(value, Tensor) and value.ndim == 0
        assert scalar, f"{what} gives {metric!r}, which is no scalar tensor"
        assert bool(value.isfinite()), f"{what} gives {metric} = {float(value.detach())}"
    return {metric: float(value.detach()) for metric, value in metrics.items()}
