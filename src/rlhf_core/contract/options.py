"""Options of a component: a frozen pydantic model that refuses unknown keys. Every field has a description."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of every component's options; its fields become ``--help``, the recipe schema and the docs."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class NoOptions(Options):
    """For components that have nothing to set."""
