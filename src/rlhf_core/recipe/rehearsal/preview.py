"""What a stage would see of its data, as pieces of text, one per token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rlhf_core.contract.rows import Row
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.encoding import encode
from rlhf_core.policy.policy import context_length
from rlhf_core.registry.catalog import Catalog

from ..stages import load_trunk, make_codec, prepare
from ..written.resolved import Stage


@dataclass(frozen=True)
class ShownRow:
    """A row's tokens as text. The completions' tokens are what is trained on; of a bare prompt nothing is."""

    record_id: str
    prompt: Sequence[str]
    completions: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Preview:
    """``report`` are the lines about what was dropped and cut."""

    rows: Sequence[ShownRow]
    report: Sequence[str]


def preview(stage: Stage, catalog: Catalog, *, split: Literal["train", "validation"]) -> Preview:
    """Raises: RLHFError as reading and encoding do."""
    prepared = prepare(stage, catalog, {})
    trunk = load_trunk(prepared)
    codec = make_codec(prepared, trunk.tokenizer, context_length(trunk))
    loaded = prepared.train if split == "train" else prepared.validation
    encoded = encode(loaded.records, codec, labels=prepared.labels, report=loaded.report)
    return Preview([shown_row(row, codec) for row in encoded.rows], encoded.report.lines())


def shown_row(row: Row, codec: TextCodec) -> ShownRow:
    completions = [_pieces(codec, tokens) for tokens in row.completions]
    return ShownRow(row.record_id, _pieces(codec, row.prompt), completions)


def _pieces(codec: TextCodec, tokens: Iterable[int]) -> list[str]:
    return [codec.piece([token]) for token in tokens]
