"""The one record by which a plugin says what it offers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import pluggy

PROJECT: Final = "rlhf_core"
ENTRY_POINT_GROUP: Final = "rlhf_core.plugins"
API_VERSION: Final = 1

hookimpl = pluggy.HookimplMarker(PROJECT)
hookspec = pluggy.HookspecMarker(PROJECT)

Kind = Literal["trainer", "reward", "evaluator", "judge", "backbone", "tracker", "dataset"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_NAME = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")
_PATH = re.compile(r"^[\w.]+:\w+$")


@dataclass(frozen=True, kw_only=True)
class Component:
    """Names one thing that can be chosen by name. Nothing it points at is imported until it is used.

    Args:
        kind: what it is; see ``KINDS``.
        name: lower-case words joined by hyphens; unique per kind within one distribution.
        summary: one line for listings and ``--help``, with the paper where there is one.
        target: ``"module:attribute"``, a callable that takes one argument, the validated options.
        options: ``"module:Class"`` of an :class:`rlhf_core.contract.options.Options`; ``None`` where there are none.
        api: the version of this contract that the plugin was written for.
        extras: names of importable packages that it needs beyond the core's; a missing one is told with its mend.
    """

    kind: Kind
    name: str
    summary: str
    target: str
    options: str | None = None
    api: int = API_VERSION
    extras: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"component {self.name!r}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        if not _NAME.match(self.name):
            raise ValueError(f"component name {self.name!r}: use lower-case words joined by hyphens, like 'naive-ppo'")
        for label, path in (("target", self.target), ("options", self.options)):
            if path is not None and not _PATH.match(path):
                raise ValueError(f"component {self.name!r}: {label} {path!r} must look like 'package.module:Name'")
