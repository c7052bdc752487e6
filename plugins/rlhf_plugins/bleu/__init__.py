"""Completions against reference answers, or against each other, n-gram by n-gram."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="evaluator",
        name="bleu",
        summary="BLEU (Papineni et al. 2002) against a column of reference answers (pip install rlhf_core[bleu])",
        target="rlhf_plugins.bleu.evaluator:Bleu",
        options="rlhf_plugins.bleu.options:BleuOptions",
        extras=("sacrebleu",),
    )
    yield Component(
        kind="evaluator",
        name="chrf",
        summary="chrF (Popović 2015) against a column of reference answers (pip install rlhf_core[bleu])",
        target="rlhf_plugins.bleu.chrf:ChrF",
        options="rlhf_plugins.bleu.options:ChrFOptions",
        extras=("sacrebleu",),
    )
    yield Component(
        kind="evaluator",
        name="self-bleu",
        summary="Self-BLEU (Zhu et al. 2018): how alike the completions are (pip install rlhf_core[bleu])",
        target="rlhf_plugins.bleu.self_bleu:SelfBleu",
        options="rlhf_plugins.bleu.options:SelfBleuOptions",
        extras=("sacrebleu",),
    )
