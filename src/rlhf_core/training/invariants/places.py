"""The mask covers exactly the completion, tokens are predicted from the ones before, the score is read at the last.

A matter of layout, so it is checked without a forward pass: by positions in the text, never by comparing token ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...contract.rows import Row, Tokens
from .violation import violated

if TYPE_CHECKING:
    from ...policy.layout import Reading
    from ..context import TrainablePolicy


def require_places(policy: TrainablePolicy, rows: Sequence[Row]) -> None:
    """Raises: TrainingStopped naming the row whose numbers would be read elsewhere than at its completion."""
    completions = [(row, tokens) for row in rows for tokens in row.completions]
    if not completions:
        return
    readings = policy.readings(rows)
    if len(readings) != len(completions):
        raise _misread(rows[0], f"{len(readings)} completions are scored of {len(completions)}")
    for (row, completion), reading in zip(completions, readings, strict=True):
        _require_mask(row, completion, reading)
        _require_positions(row, completion, reading)


def _require_mask(row: Row, completion: Tokens, reading: Reading) -> None:
    if list(reading.columns) != list(range(len(completion))):
        raise _misread(
            row, f"the mask covers {len(reading.columns)} positions of a completion of {len(completion)} tokens"
        )


def _require_positions(row: Row, completion: Tokens, reading: Reading) -> None:
    text = row.prompt + completion
    first, last = len(row.prompt) - 1, len(text) - 1
    if list(reading.predicting) != [(position, text[position]) for position in range(first, last)]:
        raise _misread(row, "completion tokens are not each predicted from the token before them")
    if reading.last != (last, text[last]):
        raise _misread(row, f"the score is read at position {reading.last[0]}, but the last real token is at {last}")


def _misread(row: Row, found: str) -> Exception:
    return violated(
        f"{row.record_id}: {found}",
        means="losses, rewards or scores would be those of other tokens",
        cause="padding on the wrong side, or positions found by comparing token ids where pad and EOS are one token",
    )
