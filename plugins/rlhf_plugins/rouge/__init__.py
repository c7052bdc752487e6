"""Completions against reference answers: words, pairs and sequences recalled."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="evaluator",
        name="rouge",
        summary="ROUGE-1, -2 and -L (Lin 2004) against a column of reference answers (pip install rlhf_core[rouge])",
        target="rlhf_plugins.rouge.evaluator:Rouge",
        options="rlhf_plugins.rouge.options:RougeOptions",
        extras=("rouge_score",),
    )
