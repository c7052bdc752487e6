"""How rows lie in one forward pass, and where in it each completion token is predicted.

Two layouts give the same numbers. *Packed*: one long sequence, no padding, the prompt computed once for all its
completions. *Padded*: one right-padded sequence per completion, for models whose attention cannot be packed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor

from rlhf_core.contract.rows import Row, Tokens


@dataclass(frozen=True)
class Reading:
    """Where the numbers of one completion are read. Positions are those given to the model: 0 is the prompt's first.

    Args:
        columns: where the mask is True.
        predicting: position and token whose hidden state predicts each completion token.
        last: position and token that a head's one number is read at.
    """

    columns: tuple[int, ...]
    predicting: tuple[tuple[int, int], ...]
    last: tuple[int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """Input of one forward pass over K completions with M tokens in all. Positions count in the flattened input.

    Args:
        input_ids, position_ids: ``[B, L]``.
        sources: ``[M]``, the position whose hidden state predicts a completion token.
        targets: ``[M]``, that token.
        owners, columns: ``[M]``, which completion it belongs to, and where in it.
        last: ``[K]``, the position of each completion's last real token.
        completions, width: K and C, the shape of what a score returns.
    """

    input_ids: Tensor
    position_ids: Tensor
    sources: Tensor
    targets: Tensor
    owners: Tensor
    columns: Tensor
    last: Tensor
    completions: int
    width: int

    @property
    def mask(self) -> Tensor:
        """bool ``[K, C]``, True at a completion token."""
        mask = torch.zeros(self.completions, self.width, dtype=torch.bool, device=self.owners.device)
        mask[self.owners, self.columns] = True
        return mask

    def readings(self) -> list[Reading]:
        """One per completion, in order."""
        places = list(zip(self.position_ids.flatten().tolist(), self.input_ids.flatten().tolist(), strict=True))
        predicting: list[list[tuple[int, int]]] = [[] for _ in range(self.completions)]
        for owner, source in zip(self.owners.tolist(), self.sources.tolist(), strict=True):
            predicting[owner].append(places[source])
        columns = [[column for column, real in enumerate(line) if real] for line in self.mask.tolist()]
        return [
            Reading(tuple(columns[k]), tuple(predicting[k]), places[last]) for k, last in enumerate(self.last.tolist())
        ]

    def to_grid(self, flat: Tensor) -> Tensor:
        """``[M, …]`` to ``[K, C, …]``, zeros where there is no token."""
        grid = flat.new_zeros(self.completions, self.width, *flat.shape[1:])
        return grid.index_put((self.owners, self.columns), flat)


@dataclass(frozen=True, eq=False, kw_only=True)
class PackedLayout(Layout):
    """``B = 1``. Row after row: the prompt, then its completions, each of which goes on from the prompt's end.

    Args:
        parts: of each row the length of its prompt and those of its completions.

    Attributes:
        lengths: of the sequences (prompt and completion), S tokens in all.
        spread: ``[S]``, the position of each sequence's tokens; None where no prompt is shared, and S = L.
        gather: ``[L]``, where among the S each position is (a prompt's in its first completion); None where S = L.
    """

    parts: list[tuple[int, list[int]]]

    @cached_property
    def lengths(self) -> list[int]:
        return [prompt + completion for prompt, completions in self.parts for completion in completions]

    @cached_property
    def spread(self) -> Tensor | None:
        return _long(chain.from_iterable(self._sequences), self.owners.device) if self._shares else None

    @cached_property
    def gather(self) -> Tensor | None:
        if not self._shares:
            return None
        places: dict[int, int] = {}
        for place, position in enumerate(chain.from_iterable(self._sequences)):
            places.setdefault(position, place)
        return _long((places[position] for position in range(len(places))), self.owners.device)

    @property
    def _shares(self) -> bool:
        return len(self.lengths) > len(self.parts)

    @cached_property
    def _sequences(self) -> list[list[int]]:
        """Positions of each sequence's tokens."""
        sequences, start = [], 0
        for prompt, completions in self.parts:
            shared = range(start, start + prompt)
            start += prompt
            for completion in completions:
                sequences.append([*shared, *range(start, start + completion)])
                start += completion
        return sequences


@dataclass(frozen=True, eq=False, kw_only=True)
class PaddedLayout(Layout):
    """``B = K``. ``attention_mask`` is ``[K, T]``, 1 at real tokens. Filling comes last: nothing real sees it."""

    attention_mask: Tensor


@dataclass
class _Cursor:
    """Collects the lists that both layouts need."""

    sources: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)

    def add(self, sequence: Sequence[int], completion: Tokens) -> None:
        """``sequence``: positions of prompt and completion."""
        count = len(completion)
        self.owners += [len(self.last)] * count
        self.columns += range(count)
        self.targets += completion
        self.sources += sequence[len(sequence) - count - 1 : -1]
        self.last.append(sequence[-1])

    def tensors(self, device: torch.device) -> dict[str, Tensor]:
        names = ("sources", "targets", "owners", "columns", "last")
        return {name: _long(getattr(self, name), device) for name in names}

    @property
    def width(self) -> int:
        return max(self.columns, default=-1) + 1


def _long(numbers: Iterable[int], device: torch.device) -> Tensor:
    return torch.tensor(list(numbers), dtype=torch.long, device=device)


def pack(rows: Sequence[Row], device: torch.device) -> PackedLayout:
    """Each prompt once, followed by its completions; every completion continues from its prompt's end."""
    tokens: list[int] = []
    positions: list[int] = []
    cursor = _Cursor()
    for row in rows:
        prompt = range(len(tokens), len(tokens) + len(row.prompt))
        tokens += row.prompt
        positions += range(len(row.prompt))
        for completion in row.completions:
            sequence = [*prompt, *range(len(tokens), len(tokens) + len(completion))]
            tokens += completion
            positions += range(len(row.prompt), len(sequence))
            cursor.add(sequence, completion)
    return PackedLayout(
        input_ids=_long(tokens, device)[None],
        position_ids=_long(positions, device)[None],
        parts=[(len(row.prompt), [len(completion) for completion in row.completions]) for row in rows],
        completions=len(cursor.last),
        width=cursor.width,
        **cursor.tensors(device),
    )


def pad(rows: Sequence[Row], device: torch.device) -> PaddedLayout:
    """One sequence per completion, each with its own copy of the prompt, filled with token 0 on the right."""
    sequences = [(row.prompt + completion, completion) for row in rows for completion in row.completions]
    length = max(len(tokens) for tokens, _ in sequences)
    cursor = _Cursor()
    for index, (tokens, completion) in enumerate(sequences):
        cursor.add(range(index * length, index * length + len(tokens)), completion)
    lengths = _long((len(tokens) for tokens, _ in sequences), device)
    steps = torch.arange(length, device=device)
    filled = chain.from_iterable(tokens + (0,) * (length - len(tokens)) for tokens, _ in sequences)
    return PaddedLayout(
        input_ids=_long(filled, device).view(-1, length),
        position_ids=steps.expand(len(sequences), length),
        attention_mask=(steps < lengths[:, None]).long(),
        completions=len(sequences),
        width=cursor.width,
        **cursor.tensors(device),
    )
