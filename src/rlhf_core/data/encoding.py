"""Records to rows, and what was cut, dropped or changed on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import Labelled, Record, Text
from rlhf_core.contract.rows import Row

from .blocks import text_blocks, text_documents
from .codec import Encoding, TextCodec, Unusable
from .options import TextRows
from .report import DataReport, Lengths


@dataclass(frozen=True)
class Encoded:
    """Rows in the order of their records, the record of each by ``Row.record_id``, and what became of the records."""

    rows: list[Row]
    by_id: Mapping[str, Record]
    report: DataReport


def encode(
    records: Sequence[Record],
    codec: TextCodec,
    *,
    labels: Sequence[str] = (),
    report: DataReport | None = None,
    text_rows: TextRows = "blocks",
) -> Encoded:
    """Tokens of all records; those of which nothing can be trained on are dropped, counted and named in the report.

    Args:
        labels: sorted class names of labelled records; those of ``records`` by default.
        report: the report of loading, which the counts are added to a copy of.
        text_rows: how running text becomes rows, each with a number behind its record's id (:mod:`.blocks`).
    Raises: RLHFError when records were given and none is left.
    """
    counts = DataReport(kept=len(records)) if report is None else _copy(report)
    if any(isinstance(record, Labelled) for record in records):
        codec = codec.with_labels(labels or labels_of(records))
    if records and all(isinstance(record, Text) for record in records):
        texts = [record for record in records if isinstance(record, Text)]
        return _encode_texts(texts, codec, counts, text_blocks if text_rows == "blocks" else text_documents)
    rows: list[Row] = []
    by_id: dict[str, Record] = {}
    first_reason = ""
    for record, encoding in _inspect_all(records, codec, counts):
        if isinstance(encoding, Unusable):
            first_reason = first_reason or str(encoding)
            continue
        rows.append(encoding.row)
        by_id[record.id] = record
    if records and not rows:
        raise RLHFError(f"none of {len(records)} records can be trained on; the first: {first_reason}")
    return _finish(rows, by_id, counts)


def labels_of(records: Sequence[Record]) -> list[str]:
    """The class names of labelled records, sorted: a label's place here is ``LabelledRow.label``."""
    return sorted({record.label for record in records if isinstance(record, Labelled)})


def _inspect_all(
    records: Sequence[Record], codec: TextCodec, counts: DataReport
) -> Iterator[tuple[Record, Encoding | Unusable]]:
    for record in records:
        try:
            encoding = codec.inspect(record)
        except Unusable as error:
            counts.drop(error.reason, record.id)
            counts.kept -= 1
            yield record, error
            continue
        counts.truncated += encoding.truncated
        counts.drifted += encoding.drifted
        counts.special += encoding.special
        yield record, encoding


def _encode_texts(
    records: Sequence[Text],
    codec: TextCodec,
    counts: DataReport,
    rows_of: Callable[[Sequence[Text], TextCodec], Iterator[tuple[Row, Text]]],
) -> Encoded:
    rows: list[Row] = []
    by_id: dict[str, Record] = {}
    counts.special += sum(codec.has_special(record.text) for record in records)
    for number, (row, record) in enumerate(rows_of(records, codec), start=1):
        block_id = f"{record.id}#block{number}"
        rows.append(dataclasses.replace(row, record_id=block_id))
        by_id[block_id] = record
    return _finish(rows, by_id, counts)


def _finish(rows: list[Row], by_id: Mapping[str, Record], counts: DataReport) -> Encoded:
    counts.rows = len(rows)
    completions = [len(completion) for row in rows for completion in row.completions]
    if rows:
        counts.prompt_tokens = Lengths.of([len(row.prompt) for row in rows])
    if completions:
        counts.completion_tokens = Lengths.of(completions)
    if counts.drifted:
        counts.notes.append(
            f"{counts.drifted} of {len(completions)} completions tokenise differently behind their prompt than apart "
            "from it, and were encoded apart: end template.prompt without a space, start template.completion with it"
        )
    return Encoded(rows, by_id, counts)


def _copy(report: DataReport) -> DataReport:
    dropped = {
        reason: dataclasses.replace(found, examples=list(found.examples)) for reason, found in report.dropped.items()
    }
    return dataclasses.replace(report, dropped=dropped, notes=list(report.notes))
