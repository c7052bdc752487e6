"""Ranks: processes that train together, each on its slice of every batch, so that N of them equal one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter

from ..contract.errors import RLHFError

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class World:
    """This process among ``size`` ones. Nothing here needs torch.distributed while ``size`` is 1."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> World:
        """The process group that is initialised, or a single process."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def first(self) -> bool:
        """Whether this rank writes files and reports."""
        return self.rank == 0

    def from_first(self, work: Callable[[], ItemT]) -> ItemT:
        """What ``work`` returns on the first rank, on every rank; the others do not do it.

        Raises: on every rank the RLHFError that it raised on the first.
        """
        if self.size == 1:
            return work()
        box: list[Any] = [None, None]
        if self.first:
            try:
                box[0] = work()
            except RLHFError as error:
                box[1] = error
        dist.broadcast_object_list(box)
        if box[1] is not None:
            raise box[1]
        result: ItemT = box[0]
        return result

    def require_rows(self, batch_size: int) -> None:
        """Raises: RLHFError when a rank would get no row of a batch."""
        if batch_size < self.size:
            raise RLHFError(
                f"training.batch_size = {batch_size}, but there are {self.size} processes; use a batch of at least that"
            )

    def slice(self, items: Sequence[ItemT]) -> Sequence[ItemT]:
        """This rank's consecutive share; the shares of all ranks in order are the whole."""
        length = len(items)
        return items[self.rank * length // self.size : (self.rank + 1) * length // self.size]

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, item: ItemT) -> list[ItemT]:
        """Everyone's item, by rank."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        dist.all_gather_object(items, item)
        return items

    def sum(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Sums over ranks by name; a rank that had no rows brings no names."""
        total: dict[str, float] = {}
        for share in self.gather(dict(numbers)):
            for name, value in share.items():
                total[name] = total.get(name, 0.0) + value
        return total

    def sum_gradients(self, parameters: Iterable[Parameter]) -> None:
        """Sum gradients over ranks, missing ones counting as zero: on one process as well, so that N equal one."""
        gradients = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        if self.size > 1:
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            dist.all_reduce(flat)
            parts = torch.split(flat, [gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))


JOINING = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher tells each process; torchrun uses the same names, so that it serves where one host is not enough."""


@contextmanager
def joined() -> Iterator[World]:
    """Meet the processes that were started together with this one; alone where no launcher says otherwise.

    Raises: RLHFError when there is no device for this process. RuntimeError when fewer met than were started.
    """
    if not all(os.environ.get(name) for name in JOINING) or dist.is_initialized():
        yield World.current()
        return
    size = int(os.environ["WORLD_SIZE"])
    if torch.cuda.is_available():
        local, devices = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= devices:
            raise RLHFError(f"{local + 1} processes or more, but {devices} CUDA devices: use --procs {devices}")
        torch.cuda.set_device(local)
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    world = World.current()
    if world.size != size:
        raise RuntimeError(f"{size} processes were started, but {world.size} train together")
    yield world
    # Not after an error: the others would lose this process before it has said what was wrong.
    dist.destroy_process_group()
