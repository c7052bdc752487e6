"""A package on the path as `pip install` would put it there: its modules, and the entry points of its pyproject."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlhf_core.contract.components import ENTRY_POINT_GROUP


@contextmanager
def installed(pyproject: Mapping[str, Any], modules: Path, metadata: Path) -> Iterator[None]:
    """``modules`` and ``metadata`` are on ``sys.path`` inside; what was imported from there is forgotten afterwards."""
    project = pyproject["project"]
    info = metadata / f"{project['name'].replace('-', '_')}-{project.get('version', '0')}.dist-info"
    info.mkdir(parents=True)
    name, version = project["name"], project.get("version", "0")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = project["entry-points"][ENTRY_POINT_GROUP]
    lines = [f"[{ENTRY_POINT_GROUP}]", *(f"{point} = {target}" for point, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    before, added = set(sys.modules), [str(modules), str(metadata)]
    sys.path[:0] = added
    try:
        yield
    finally:
        sys.path[:] = [entry for entry in sys.path if entry not in added]
        for imported in set(sys.modules) - before:
            if str(getattr(sys.modules[imported], "__file__", "")).startswith(str(modules)):
                del sys.modules[imported]


def read_pyproject(text: str) -> dict[str, Any]:
    return tomllib.loads(text)
