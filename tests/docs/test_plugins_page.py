"""docs/plugins.md does what it says: its files make packages that are installed and put through the public kit."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT, blocks
from published_plugins import installed, read_pyproject

from rlhf_core import testing
from rlhf_core.contract.components import ENTRY_POINT_GROUP, KINDS, Component
from rlhf_core.registry.catalog import Catalog
from rlhf_core.testing import check_component, check_plugin

PAGE = ROOT / "docs" / "plugins.md"


def files() -> dict[str, str]:
    """The page's blocks by the file name in their first line."""
    named = {}
    for block in blocks(PAGE, "python", "toml"):
        first = re.match(r"# ([\w./]+)\n", block)
        assert first, f"a block of the page does not begin with its file name: {block.splitlines()[0]}"
        named[first[1]] = block
    return named


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """Both packages of the page, beside the plugins that are installed."""
    modules = tmp_path / "modules"
    for place, text in files().items():
        (modules / place).parent.mkdir(parents=True, exist_ok=True)
        (modules / place).write_text(text, "utf-8")
    acme = {"name": "acme", "entry-points": {ENTRY_POINT_GROUP: {"acme": "acme", "acme-hooks": "acme.hooks"}}}
    with (
        installed(read_pyproject(files()["pyproject.toml"]), modules, tmp_path / "shorter"),
        installed({"project": acme}, modules, tmp_path / "acme"),
    ):
        yield Catalog.load(strict=True, seconds=120)


def test_the_first_screen_is_a_whole_plugin(catalog: Catalog) -> None:
    shorter = catalog.find("reward", "shorter")
    assert shorter.qualified == "acme-shorter/shorter"
    check_plugin("shorter")
    check_component(shorter.component)
    lines = [line for line in files()["shorter.py"].splitlines() if line.strip()]
    assert len(lines) <= 15


def test_the_example_package_has_every_kind_and_all_keep_the_contract(catalog: Catalog) -> None:
    offered: list[Component] = [row.component for row in catalog.rows() if row.plugin.qualified == "acme/acme"]
    assert sorted(component.kind for component in offered) == sorted(KINDS)
    importlib.import_module("test_acme").test_the_plugin_keeps_the_contract()


def test_the_example_hook_hears_of_a_run(catalog: Catalog, tmp_path: Path) -> None:
    catalog.manager.hook.rlhf_run_finished(run=tmp_path, status="finished")
    assert (tmp_path / "told.txt").read_text() == f"{tmp_path.name}: finished\n"


def test_the_page_names_every_kind_and_every_check() -> None:
    text = PAGE.read_text("utf-8")
    assert all(f"## {kind.capitalize()}\n" in text for kind in KINDS)
    assert all(f"`{name}(" in text for name in testing.__all__ if name.startswith("check_"))
