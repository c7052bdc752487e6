"""What a run was started with, so that nothing else goes on in its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..contract.errors import RLHFError
from ..contract.rows import Row


def fingerprint(rows: Iterable[Row]) -> str:
    """sha256 over ids, tokens and further fields of rows, in order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(sorted(vars(row).items())).encode())
    return digest.hexdigest()


def require_same(saved: Mapping[str, Any], now: Mapping[str, Any], run: str) -> None:
    """Raises: RLHFError listing every entry that differs."""
    before, after = flatten(saved), flatten(now)
    missing = "(nothing)"
    differing = [
        f"  {key}: {_shown(before.get(key, missing))} → {_shown(after.get(key, missing))}"
        for key in sorted({*before, *after})
        if before.get(key, missing) != after.get(key, missing)
    ]
    if differing:
        raise RLHFError(
            f"{run}: --resume goes on with the run as it was started, but now there is\n"
            + "\n".join(differing)
            + "\nput these back, or start a new run with another --output"
        )


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Nested mappings and sequences as ``a.b.0`` → leaf."""
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        items = enumerate(value)
    else:
        return {path: value}
    return {
        key: leaf
        for name, entry in items
        for key, leaf in flatten(entry, f"{path}.{name}" if path else str(name)).items()
    }


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:12] + "…"
