"""Stop strings: where the text of a sample first contains one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlhf_core.contract.rows import Tokens

UNFINISHED = "\ufffd"
"""What decoding writes for bytes that are no whole character."""


class StopStrings:
    """A string may begin inside one token and end inside another.

    Few tokens can complete one; which, is worked out when a token is first drawn. Only behind these is the text read.

    Args:
        decode: tokens to text as it is, special tokens and outer white space included.
    """

    def __init__(self, strings: Sequence[str], decode: Callable[[Tokens], str]) -> None:
        self._strings = tuple(strings)
        self._decode = decode
        self._completing: dict[int, bool] = {}

    def end(self, tokens: Sequence[int], start: int) -> int | None:
        """Length up to and with the token that completes a string; earlier ones than ``start`` are known not to."""
        for length in range(start + 1, len(tokens) + 1):
            if self._may_complete(tokens[length - 1]):
                text = self._decode(tuple(tokens[:length]))
                if any(string in text for string in self._strings):
                    return length
        return None

    def _may_complete(self, token: int) -> bool:
        if token not in self._completing:
            piece = self._decode((token,))
            # Decoded alone, a token can lack the space that it has behind others, or be part of a character.
            self._completing[token] = UNFINISHED in piece or any(
                _touches(string, text) for string in self._strings for text in (piece, f" {piece}")
            )
        return self._completing[token]


def _touches(string: str, piece: str) -> bool:
    """Whether ``piece`` behind some text can complete ``string``: contains it, or begins with an end of it."""
    return string in piece or any(piece.startswith(string[place:]) for place in range(len(string)))
