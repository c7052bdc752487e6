"""Random states: of every generator that a trainer or reward may draw from, and seeds that follow from one."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy
import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose. Hashed, so that neighbouring seeds or steps share nothing."""
    text = ":".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def seed_all(seed: int) -> None:
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def capture() -> dict[str, Any]:
    """The states of Python's, numpy's and torch's generators, in types that a checkpoint holds."""
    kind, keys, position, has_gauss, gauss = numpy.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (str(kind), [int(key) for key in keys], int(position), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
    }


def restore(state: Mapping[str, Any]) -> None:
    """Undo all draws since :func:`capture`."""
    random.setstate(state["python"])
    numpy.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def left_alone() -> Iterator[None]:
    """Whatever is drawn inside, the random states are afterwards what they were before."""
    before = capture()
    try:
        yield
    finally:
        restore(before)
