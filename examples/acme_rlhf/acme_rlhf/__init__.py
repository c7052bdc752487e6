"""Plugins of Acme: nothing is imported here but the record that names them."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterator[Component]:
    yield Component(
        kind="trainer",
        name="grpo",
        summary="Group relative policy optimization: no value model, the group is the baseline (Shao et al. 2024)",
        target="acme_rlhf.grpo:GRPO",
        options="acme_rlhf.options:GRPOOptions",
    )
    yield Component(
        kind="reward",
        name="variety",
        summary="Share of different words, in [0, 1]; 0 for texts that are too short to tell",
        target="acme_rlhf.variety:Variety",
        options="acme_rlhf.options:VarietyOptions",
    )
