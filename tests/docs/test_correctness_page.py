"""The table of pitfalls names tests that are there, and leaves no pitfall out."""

from __future__ import annotations

import ast
import re

from pages import ROOT

PAGE = ROOT / "docs" / "correctness.md"
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def pitfalls() -> dict[int, list[tuple[str, str]]]:
    """By number, the tests that plant it, as (file, function)."""
    lines = [line.split("|") for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| \d+ \|", line)]
    return {int(cells[1]): _TEST.findall(cells[4]) for cells in lines}


def test_every_pitfall_has_a_line_and_a_test_that_plants_it() -> None:
    assert sorted(pitfalls()) == list(range(1, 24))
    assert all(pitfalls().values())


def test_every_test_that_the_page_names_is_there() -> None:
    for file, function in {test for tests in pitfalls().values() for test in tests}:
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in functions, f"docs/correctness.md names {file}::{function}, which is not there"
