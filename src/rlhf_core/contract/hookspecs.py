"""The hooks of the plugin contract: one that declares components, four that are called as a run goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from .components import Component, hookspec


@hookspec
def rlhf_components() -> Iterable[Component]:  # type: ignore[empty-body]
    """Yield the components that this plugin offers. Must import nothing heavy."""


@hookspec
def rlhf_run_started(run: Path, config: Mapping[str, object]) -> None:
    """A stage starts (or goes on); ``run`` is its folder, ``config`` its resolved recipe."""


@hookspec
def rlhf_step_finished(run: Path, step: int, metrics: Mapping[str, float]) -> None:
    """A step (a collected batch and its updates) is done; metrics are means over it and over ranks. First rank only."""


@hookspec
def rlhf_evaluated(run: Path, step: int, metrics: Mapping[str, float]) -> None:
    """Held-out metrics were measured during training."""


@hookspec
def rlhf_run_finished(run: Path, status: str) -> None:
    """A stage ended; ``status`` is ``finished`` (early stopping included), ``stopped`` (Ctrl-C) or ``failed``."""
