"""Direct Preference Optimization."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterator[Component]:
    yield Component(
        kind="trainer",
        name="dpo",
        summary="Direct Preference Optimization from pairs, no reward model (Rafailov et al. 2023); IPO, hinge, robust",
        target="rlhf_plugins.dpo.trainer:DPO",
        options="rlhf_plugins.dpo.options:DPOOptions",
    )
