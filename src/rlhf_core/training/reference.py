"""What the reference says of rows that come again: worked out once, kept by content, in this run and the next ones.

A logprob depends on the reference's weights, on the tokens and on the arithmetic; on nothing else, so neither a
learning rate nor a folder is in its name. Another template or tokenizer gives other tokens, hence other names.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..contract.errors import RLHFError
from ..contract.rows import Row
from ..store.logprobs import SQLiteLogprobs, cache_folder

if TYPE_CHECKING:
    from .context import TrainablePolicy

REFERENCE = "reference"
CACHE_ERRORS = (RLHFError, sqlite3.Error)
"""A cache that cannot be read or written costs time, not the run."""


class ReferenceLogprobs:
    """Call it with rows: per row the logprobs of each of its completions' tokens, float32 ``[tokens]`` on the CPU.

    The reference is asked for what is new alone, all of a call together. Where its numbers cannot be kept in the user's
    cache they are kept in memory, and worked out again by the next run.
    """

    def __init__(self, policy: TrainablePolicy) -> None:
        self._policy = policy
        self._known: dict[bytes, bytes] = {}
        self._store: SQLiteLogprobs | None = None
        self._begun = False

    def __call__(self, rows: Sequence[Row]) -> list[tuple[Tensor, ...]]:
        self._begin()
        names = [content_name(row) for row in rows]
        self._find([name for name in names if name not in self._known])
        new = {name: row for name, row in zip(names, rows, strict=True) if name not in self._known}
        if new:
            self._keep(dict(zip(new, self._ask(list(new.values())), strict=True)))
        return [_by_completion(self._known[name], row) for name, row in zip(names, rows, strict=True)]

    def _begin(self) -> None:
        """At the first question: a stage that asks none reads no weights for it."""
        if self._begun:
            return
        self._begun = True
        name = f"{self._policy.fingerprint(REFERENCE)}-{_arithmetic(self._policy.device.type)}"
        with suppress(*CACHE_ERRORS):
            self._store = SQLiteLogprobs(cache_folder() / "reference-logprobs" / f"{name}.sqlite")

    def _find(self, names: Sequence[bytes]) -> None:
        if self._store is not None and names:
            with suppress(*CACHE_ERRORS):
                self._known |= self._store.find(names)

    def _keep(self, found: dict[bytes, bytes]) -> None:
        self._known |= found
        if self._store is not None:
            with suppress(*CACHE_ERRORS):
                self._store.add(found)
                self._known |= self._store.find(list(found))  # another process may have been first

    @torch.no_grad()
    def _ask(self, rows: Sequence[Row]) -> list[bytes]:
        scored = self._policy.score(rows, REFERENCE)
        flat = scored.logprobs[scored.mask].float().cpu()
        counts = [sum(map(len, row.completions)) for row in rows]
        return [part.numpy().tobytes() for part in torch.split(flat, counts)]


def _arithmetic(device: str) -> str:
    """What rounds: the device, and the type that forward passes are in (autocast is on while a batch is collected)."""
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
    return f"{device}-{str(dtype).removeprefix('torch.')}"


def content_name(row: Row) -> bytes:
    """Of a row's tokens, the same in every process."""
    return hashlib.blake2b(repr((row.prompt, row.completions)).encode(), digest_size=16).digest()


def _by_completion(kept: bytes, row: Row) -> tuple[Tensor, ...]:
    numbers = torch.frombuffer(bytearray(kept), dtype=torch.float32)
    return torch.split(numbers, [len(tokens) for tokens in row.completions])
