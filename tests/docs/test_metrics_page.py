"""docs/metrics.md leaves no evaluator out, and no number of one."""

from __future__ import annotations

import re

import pytest
from pages import ROOT

from rlhf_core.registry.catalog import Catalog, Found
from rlhf_core.testing import completions, eval_context

EVALUATORS = [
    found
    for found in Catalog.load(strict=True, seconds=120).rows()
    if found.plugin.first_party and found.component.kind == "evaluator"
]
OPTIONS = {"reference": "prompt", "run": "runs/reward"}
ELSEWHERE = {"kl": "docs/kl.md", "puns": "res/puns/README.md"}
"""Evaluators whose numbers have a page of their own, which this one names."""


def name(found: Found) -> str:
    return found.component.name


def quoted(page: str) -> set[str]:
    """What stands between backticks, with and without the evaluator's name before it."""
    names = re.findall(r"`([^`\n]+)`", (ROOT / page).read_text("utf-8"))
    return {part for text in names for part in (text, text.rpartition("/")[2])}


@pytest.mark.parametrize("found", EVALUATORS, ids=name)
def test_every_metric_of_every_evaluator_is_on_the_page(found: Found) -> None:
    if absent := found.missing_extras():
        pytest.skip(f"{', '.join(absent)} is not installed")
    page = quoted("docs/metrics.md")
    assert name(found) in page
    if name(found) in ELSEWHERE:
        assert ELSEWHERE[name(found)].rpartition("/")[2] in (ROOT / "docs/metrics.md").read_text("utf-8")
        return
    required = {field for field, info in found.options_class().model_fields.items() if info.is_required()}
    evaluator = found.build({option: OPTIONS[option] for option in required})
    evaluation = evaluator.evaluate(completions(), eval_context(evaluator.needs))
    missing = {*evaluation.scores, *evaluation.corpus} - page
    assert not missing, f"docs/metrics.md says nothing of {', '.join(sorted(missing))} of {name(found)}"
