"""From hidden states to what a score holds, and scores of several passes into one."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import PreTrainedModel

from rlhf_core.contract.policy import Output
from rlhf_core.contract.rows import Scored

from .heads import Heads
from .layout import Layout
from .vocabulary import token_statistics


@dataclass(frozen=True)
class Wanted:
    """What is to be read: which outputs, through which head, at which temperature."""

    outputs: Set[Output]
    head: str
    temperature: float

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature {self.temperature}: logprobs need a temperature above 0")


def read_out(
    model: PreTrainedModel, heads: Heads, hidden: Tensor, states: Tensor, layout: Layout, wanted: Wanted
) -> Scored:
    """``hidden``: ``[B·L, hidden]``, of all positions; ``states``: ``[M, hidden]``, before each completion token."""
    outputs: dict[str, Tensor] = {}
    if "values" in wanted.outputs:
        outputs["values"] = layout.to_grid(heads.apply_to(states, wanted.head))
    if "last" in wanted.outputs:
        outputs["last"] = heads.apply_to(hidden[layout.last], wanted.head)
    if wanted.outputs & {"logprobs", "entropy"}:
        statistics = token_statistics(
            model, states, layout.targets, temperature=wanted.temperature, with_entropy="entropy" in wanted.outputs
        )
        grids = zip(("logprobs", "entropy"), map(layout.to_grid, statistics), strict=False)
        outputs |= {name: grid for name, grid in grids if name in wanted.outputs}
    return Scored(layout.mask, **outputs)


def join_scored(parts: Sequence[Scored]) -> Scored:
    """Scores of consecutive rows as if of one pass."""
    if len(parts) == 1:
        return parts[0]
    outputs = {
        name: [getattr(part, name) for part in parts] for name, output in parts[0].outputs.items() if output is not None
    }
    return Scored(
        join_grids([part.mask for part in parts]),
        **{name: torch.cat(each) if name == "last" else join_grids(each) for name, each in outputs.items()},
    )


def join_grids(grids: Sequence[Tensor]) -> Tensor:
    """``[K, C]`` of different C below one another, filled with zeros on the right."""
    width = max(grid.shape[1] for grid in grids)
    return torch.cat([pad(grid, (0, 0) * (grid.dim() - 2) + (0, width - grid.shape[1])) for grid in grids])
