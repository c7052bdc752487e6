"""Proximal policy optimization, the plain single-process loop."""

from __future__ import annotations

from collections.abc import Iterator

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterator[Component]:
    yield Component(
        kind="trainer",
        name="ppo",
        summary="Proximal policy optimization from any reward, KL to the reference per token (Schulman et al. 2017)",
        target="rlhf_plugins.naive_ppo.trainer:PPO",
        options="rlhf_plugins.naive_ppo.options:PPOOptions",
    )
