"""Sources to records: read, shaped, split, mixed and counted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from rlhf_core.contract.errors import Problems, RLHFError
from rlhf_core.contract.records import Record

from .encoding import Encoded, encode
from .holdout import held_out_keys, split_key
from .mixing import mix
from .options import DataOptions, SourceOptions
from .rawrow import BadRow, RawRow
from .report import DataReport
from .shapes import shape_rows
from .sources import OpenDataset, open_source, source_names

__all__ = ["Encoded", "Loaded", "encode", "load_records"]

SHOWN = 10
"""So many bad rows are listed."""

RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True)
class Loaded(Generic[RecordT]):
    """The records of a split, in order, and what became of the rows."""

    records: list[RecordT]
    report: DataReport


def load_records(
    options: DataOptions,
    record_class: type[RecordT],
    *,
    split: Literal["train", "validation"],
    folder: Path,
    open_dataset: OpenDataset,
) -> Loaded[RecordT]:
    """The records of the training or the validation split; none where the options hold out nothing.

    Args:
        record_class: what the trainer learns from (``Trainer.Record``).
        folder: relative paths of sources start here.
        open_dataset: a plugin's data set by name and options.
    Raises: Problems listing every bad row of every source, RLHFError when a source cannot be read or nothing is left.
    """
    held_out = options.validation
    sources, limit = options.sources, options.limit
    if split == "validation":
        if held_out is None:
            return Loaded([], DataReport(fingerprint=fingerprint([])))
        sources, limit = held_out.sources or options.sources, held_out.limit
    report = DataReport()
    names = source_names(sources)
    parts = _read_all(sources, names, record_class, options, report, folder, open_dataset)
    _require_any(parts, names, report)
    if held_out is not None and held_out.fraction is not None:
        parts = _one_side(parts, held_out.fraction, split, report)
    mixed = mix(parts, [source.weight for source in sources], limit=limit)
    records = [record for part in mixed for record in part]
    _require_any([records], names, report)
    report.sources = {name: len(part) for name, part in zip(names, mixed, strict=True)}
    report.kept, report.fingerprint = len(records), fingerprint(records)
    return Loaded(records, report)


def _require_any(parts: Sequence[Sequence[Record]], names: Sequence[str], report: DataReport) -> None:
    if not any(parts):
        raise RLHFError(f"{', '.join(names)}: no record is left of {report.read} read ({_reasons(report)})")


def fingerprint(records: Sequence[Record]) -> str:
    """sha256 of the content of the records in order: the same data has it under another name too."""
    digest = hashlib.sha256()
    names: dict[type[Record], list[str]] = {}
    for record in records:
        kind = type(record)
        if kind not in names:
            names[kind] = [field.name for field in dataclasses.fields(record) if field.name != "id"]
        content = {name: getattr(record, name) for name in names[kind]}
        digest.update(json.dumps(content, sort_keys=True, ensure_ascii=True, default=_plain).encode() + b"\n")
    return digest.hexdigest()


def _plain(value: object) -> object:
    """What JSON has no name for: a message of a dialogue as its fields, anything else as it prints."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def _read_all(
    sources: Sequence[SourceOptions],
    names: Sequence[str],
    record_class: type[RecordT],
    options: DataOptions,
    report: DataReport,
    folder: Path,
    open_dataset: OpenDataset,
) -> list[list[RecordT]]:
    """The records of each source; bad rows of all sources are told at once."""
    parts, bad = [], []
    for source, name in zip(sources, names, strict=True):
        read = list(open_source(source, name, folder=folder, open_dataset=open_dataset))
        rows = [row for row in read if isinstance(row, RawRow)]
        bad_here = [row for row in read if isinstance(row, BadRow)]
        report.read += len(read)
        records: list[RecordT] = []
        if rows:
            shaped = shape_rows(rows, record_class, source=name, map=source.map, turns=options.turns)
            records = shaped.records
            bad_here += shaped.bad
            for reason, record_id in shaped.dropped:
                report.drop(reason, record_id)
        elif not bad_here:
            raise RLHFError(f"{name}: holds no rows; expected at least one record")
        parts.append(records)
        bad += sorted(bad_here, key=lambda row: row.row)
    _judge(bad, options.bad_rows, report)
    _check_ids(parts)
    return parts


def _judge(bad: Sequence[BadRow], policy: Literal["stop", "drop"], report: DataReport) -> None:
    """Stops with the first bad rows and the count of all, or counts and keeps what they say."""
    if not bad:
        return
    if policy == "stop":
        more = [f"… and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
        count = f"{len(bad)} bad row{'s' * (len(bad) != 1)}"
        mend = f"{count}: mend {'them' if len(bad) > 1 else 'it'}, or leave bad rows out with data.bad_rows: drop"
        raise Problems([*(row.message for row in bad[:SHOWN]), *more], mend=mend)
    for row in bad:
        report.drop("bad row", row.message)


def _check_ids(parts: Sequence[Sequence[Record]]) -> None:
    counts = Counter(record.id for part in parts for record in part)
    twice = [record_id for record_id, count in counts.items() if count > 1]
    if twice:
        raise RLHFError(
            f"the id {twice[0]!r} stands {counts[twice[0]]} times ({len(twice)} ids are not unique); make the column "
            "'id' unique over all sources, or name another one beside the source: map: {id: COLUMN}"
        )


def _one_side(
    parts: Sequence[Sequence[RecordT]], fraction: float, split: Literal["train", "validation"], report: DataReport
) -> list[list[RecordT]]:
    everything = [record for part in parts for record in part]
    held_out = held_out_keys(everything, fraction)
    prompts = len({split_key(record) for record in everything})
    report.notes.append(f"{len(held_out)} of {prompts} prompts are held out for validation")
    return [[one for one in part if (split_key(one) in held_out) == (split == "validation")] for part in parts]


def _reasons(report: DataReport) -> str:
    found = [f"{dropped.count} {reason}" for reason, dropped in sorted(report.dropped.items())]
    return ", ".join(found) or "none was usable"
