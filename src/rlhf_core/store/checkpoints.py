"""Checkpoints: all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..contract.errors import RLHFError
from ..contract.rows import Row
from .atomic import replace_folder, write_json
from .rows import TABLE, load_rows, save_rows

WEIGHTS = "weights.safetensors"
STATE = "state.pt"
PROGRESS = "progress.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, UnpicklingError)
_PLAIN = (bool, int, float, str, Tensor, type(None))


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One state of training, between two optimizer steps.

    Args:
        step: batches that are done. ``within``: optimizer steps done of the batch that is under way.
        weights: trained weights by name.
        progress: where training stands, as JSON.
        identity: what the run was started with, as JSON; it must be the same when the run goes on.
        state: optimizer, trainer and random states: dicts, lists and tuples of tensors, numbers and strings.
        rows: the collected batch that is under way; None between batches.
    """

    step: int
    within: int = 0
    weights: Mapping[str, Tensor]
    progress: Mapping[str, Any]
    identity: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Row] | None = None

    @property
    def name(self) -> str:
        """Sorts by age: ``step-00000100``, then ``step-00000100.0002``, then ``step-00000101``."""
        return f"step-{self.step:08d}" + (f".{self.within:04d}" if self.within else "")


class Checkpoints:
    """The checkpoints of one run, in its ``checkpoints/`` folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def paths(self) -> list[Path]:
        """Folders of whole checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob("step-*") if (path / PROGRESS).is_file())

    def save(self, checkpoint: Checkpoint, *, keep: int) -> Path:
        """Write a checkpoint whole or not at all, then delete all but the newest ``keep``.

        Raises: TypeError naming an entry of ``state`` or a field of the rows that cannot be saved without code.
        """
        require_plain(checkpoint.state, "state")
        path = self.folder / checkpoint.name
        replace_folder(path, lambda folder: _write(folder, checkpoint))
        self.prune(keep)
        return path

    def load(self, row_class: type[Row]) -> Checkpoint | None:
        """The newest checkpoint, tensors on the CPU; None where there is none yet.

        Raises: RLHFError naming the checkpoint that cannot be read.
        """
        paths = self.paths()
        if not paths:
            return None
        try:
            return _read(paths[-1], row_class)
        except _UNREADABLE as error:
            raise RLHFError(f"{paths[-1]}: cannot be read ({error}); delete it to go on from the one before") from error

    def prune(self, keep: int) -> None:
        for path in self.paths()[:-keep]:
            shutil.rmtree(path)


def require_plain(value: Any, path: str) -> None:
    """Raises: TypeError naming the first entry that loading without code would refuse."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            require_plain(key, f"{path}: key {key!r}")
            require_plain(entry, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            require_plain(entry, f"{path}[{index}]")
    elif type(value) not in _PLAIN:
        raise TypeError(
            f"{path} is a {type(value).__name__}: checkpoints hold dicts, lists and tuples of tensors, numbers, strings"
        )


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    save_file({name: value.detach().cpu().contiguous() for name, value in checkpoint.weights.items()}, folder / WEIGHTS)
    torch.save(_plain(checkpoint.state), folder / STATE)
    if checkpoint.rows is not None:
        save_rows(folder, checkpoint.rows)
    head = {"step": checkpoint.step, "within": checkpoint.within}
    write_json(folder / PROGRESS, {**head, "progress": checkpoint.progress, "identity": checkpoint.identity})


def _read(folder: Path, row_class: type[Row]) -> Checkpoint:
    head = json.loads((folder / PROGRESS).read_text("utf-8"))
    return Checkpoint(
        **head,
        weights=load_file(folder / WEIGHTS),
        state=torch.load(folder / STATE, weights_only=True, map_location="cpu"),
        rows=load_rows(folder, row_class) if (folder / TABLE).is_file() else None,
    )


def _plain(value: Any) -> Any:
    """Mappings of any class as dicts, which loading without code accepts."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else list(map(_plain, value))
    return value
