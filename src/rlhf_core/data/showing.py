"""A row as a person reads it: the text of its tokens, and which of them are trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlhf_core.contract.rows import Row

Decode = Callable[[Sequence[int]], str]
"""Tokens to text as it stands, special tokens included."""


@dataclass(frozen=True)
class MarkedText:
    """The text of one token (of several, where one character takes more than one), and whether it is trained on."""

    text: str
    trained: bool
    tokens: int = 1


def marked_texts(row: Row, decode: Decode) -> list[list[MarkedText]]:
    """One list per completion, the prompt before each; a bare prompt gives one list in which nothing is trained on."""
    prompt = _pieces(row.prompt, decode, trained=False)
    if not row.completions:
        return [prompt]
    return [prompt + _pieces(completion, decode, trained=True) for completion in row.completions]


def _pieces(tokens: Sequence[int], decode: Decode, *, trained: bool) -> list[MarkedText]:
    pieces: list[MarkedText] = []
    held: list[int] = []
    for token in tokens:
        held.append(token)
        text = decode(held)
        # An unfinished character decodes to the replacement sign; UTF-8 needs at most four bytes for one.
        if "\ufffd" in text and len(held) < 4:
            continue
        pieces.append(MarkedText(text, trained, len(held)))
        held = []
    if held:
        pieces.append(MarkedText(decode(held), trained, len(held)))
    return pieces
