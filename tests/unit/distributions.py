"""Temporary distributions: a folder with metadata and a module, as an installed package looks to importlib.metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DECLARING = """
from rlhf_core.contract.components import Component, hookimpl

@hookimpl
def rlhf_components():
{body}
"""


def install(
    folder: Path, distribution: str, modules: Mapping[str, str], plugins: Mapping[str, str], requires: str = ""
) -> Path:
    """Write a distribution into ``folder``, to be put on the path.

    Args:
        modules: source by module name.
        plugins: entry points of the group: name to module.
    """
    info = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n{requires}")
    points = "\n".join(f"{name} = {module}" for name, module in plugins.items())
    (info / "entry_points.txt").write_text(f"[rlhf_core.plugins]\n{points}\n")
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
    return folder


def declaring(*components: str) -> str:
    """Source of a plugin module that yields components, each given as the arguments of ``Component``."""
    body = "\n".join(f"    yield Component({component})" for component in components) or "    return []"
    return DECLARING.format(body=body)
