"""Rows of any trainer to safetensors and JSON and back, without running anyone's code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..contract.errors import RLHFError
from ..contract.rows import Row, RowT

TENSORS = "rows.safetensors"
TABLE = "rows.json"


def save_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Write rows of one class into ``folder``: tensors to ``rows.safetensors``, all else to ``rows.json``.

    Raises: TypeError naming the field that holds neither tensor, number, string, boolean, None nor tuples of these.
    """
    tensors: dict[str, Tensor] = {}
    table = [
        {
            field.name: _encode(getattr(row, field.name), f"{index}.{field.name}", type(row), tensors)
            for field in dataclasses.fields(row)
        }
        for index, row in enumerate(rows)
    ]
    save_file(tensors, folder / TENSORS)
    (folder / TABLE).write_text(json.dumps(table), "utf-8")


def load_rows(folder: Path, row_class: type[RowT]) -> list[RowT]:
    """The rows that :func:`save_rows` wrote, bit for bit, tensors on the devices they were on.

    Raises: RLHFError when they are of another class of rows.
    """
    tensors = load_file(folder / TENSORS)
    table = json.loads((folder / TABLE).read_text("utf-8"))
    expected = {field.name for field in dataclasses.fields(row_class)}
    for saved in table:
        if set(saved) != expected:
            raise RLHFError(
                f"{folder / TABLE}: rows have the fields {', '.join(sorted(saved))}, but {row_class.__name__} has "
                f"{', '.join(sorted(expected))}: the trainer is another version; start a new run"
            )
    return [row_class(**{name: _decode(value, tensors) for name, value in saved.items()}) for saved in table]


def _encode(value: Any, path: str, owner: type[Row], tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        # A clone: rows often hold views of one tensor, and safetensors refuses shared memory.
        tensors[path] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": path, "device": str(value.device)}
    if isinstance(value, tuple):
        return [_encode(item, f"{path}.{index}", owner, tensors) for index, item in enumerate(value)]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(
        f"{owner.__name__}.{path.split('.')[1]} holds a {type(value).__name__}: rows hold tensors, numbers, strings, "
        "booleans and tuples of these, so that they can be saved"
    )


def _decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        return tensors[value["tensor"]].to(value["device"])
    if isinstance(value, list):
        return tuple(_decode(item, tensors) for item in value)
    return value
