"""What happened in a run, in words: its alarms, and how score, KL and text moved. From its files alone, at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.health import Alarm
from rlhf_core.contract.records import PromptRecord
from rlhf_core.registry.catalog import Catalog, default_catalog
from rlhf_core.store.run import RunFolder
from rlhf_core.training.health.change import change
from rlhf_core.training.health.history import Facts, History
from rlhf_core.training.health.kl import KL_NAMES
from rlhf_core.training.health.text import PREFIX, text_health
from rlhf_core.training.health.watch import Watch
from rlhf_core.training.options import TrainingOptions

from ..written import yaml
from .oddkl import odd_kl

Row = Mapping[str, Any]
TOLD = ("score", "accuracy", "loss", KL_NAMES, "entropy", "length", "finished", "text/separators", "text/words")
"""What an explanation goes through, as far as a run has it; of several names the first that it has."""


@dataclass(frozen=True)
class Diagnosis:
    """Args: alarms: what is alarming, in the order it was seen. notes: what happened, one sentence each."""

    alarms: Sequence[Alarm]
    notes: Sequence[str]


def diagnose(run: RunFolder, catalog: Catalog | None = None) -> Diagnosis:
    """Look at a run that is finished, failed, under way, or from before there were alarms.

    Raises: RLHFError when its files cannot be read.
    """
    stage = _stage(run)
    options = TrainingOptions.model_validate(stage.get("training") or {})
    facts = _facts(run, stage, options, catalog or default_catalog())
    rows = with_text(run.metrics(), run.samples())
    history = History(rows, facts)
    return Diagnosis(
        alarms=Watch(facts, off=options.alarms.off).look_at_all(rows),
        notes=[*_movements(history), *odd_kl(history, stage)],
    )


def with_text(rows: Sequence[Row], samples: Sequence[Row]) -> list[Row]:
    """Rows of a run from before answers were measured, completed with how its samples read."""
    by_step: dict[int, list[tuple[str, bool]]] = {}
    for sample in samples:
        answer = str(sample["completion"]), bool(sample.get("finished"))
        by_step.setdefault(int(sample["step"]), []).append(answer)
    return [
        {**text_health(by_step.get(int(row["step"]), [])), **row}
        if row.get("split") == "validation" and not any(name.startswith(PREFIX) for name in row)
        else row
        for row in rows
    ]


def _movements(history: History) -> list[str]:
    notes = []
    for names in TOLD:
        moved = change(history.any_series(*([names] if isinstance(names, str) else names)))
        if moved is not None:
            way = "rises" if moved.rises() else "falls" if moved.falls() else "does not move beyond its noise"
            notes.append(f"{moved}: {way}")
    return notes


def _stage(run: RunFolder) -> Mapping[str, Any]:
    if not run.recipe.is_file():
        return {}
    stage: Mapping[str, Any] = yaml.load(run.recipe).plain()["stages"][0]
    return stage


def _facts(run: RunFolder, stage: Mapping[str, Any], options: TrainingOptions, catalog: Catalog) -> Facts:
    info = run.info
    rows, held_out = (
        int(((info.get("data") or {}).get(split) or {}).get("rows") or 0) for split in ("train", "validation")
    )
    steps = int(info.get("steps") or options.steps or 1)
    record = _record(str(info.get("algo")), stage, catalog)
    return Facts(
        rows=rows,
        epochs=steps * options.batch_size / rows if rows else 0.0,
        steps=steps,
        held_out=min(held_out, options.eval_rows or held_out),
        shows_answers=record is not PromptRecord,
        answers_end=issubclass(record, PromptRecord),
        max_grad_norm=options.max_grad_norm,
        adam_epsilon=options.adam_epsilon,
        max_new_tokens=int((stage.get("sampling") or {}).get("max_new_tokens") or 0),
    )


def _record(algo: str, stage: Mapping[str, Any], catalog: Catalog) -> type:
    """What the trainer learns from; bare prompts where its plugin is not here, of which least is asked."""
    try:
        found = catalog.find("trainer", algo)
        options = found.options_class().model_validate(stage.get("trainer") or {})
        record: type = found.build(options).Record
    except (RLHFError, ValueError):
        return PromptRecord
    return record
