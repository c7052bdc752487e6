"""Component sections: ``{reward: pun, word: 2.0}`` is the component of that name with its options beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from rlhf_core.contract.components import KINDS, Kind
from rlhf_core.contract.errors import MissingComponent, RLHFError
from rlhf_core.contract.options import Options
from rlhf_core.registry.catalog import Catalog, Found
from rlhf_core.registry.options import dotted

from .node import Keys, Node, node_of
from .problems import Findings, validate

STAGE_PREFIX: Final = "stage:"
NAMED_BY: Final[Mapping[Kind, str]] = {kind: {"trainer": "algo", "dataset": "source"}.get(kind, kind) for kind in KINDS}
"""The key that names a component of each kind."""
_NESTED: Final[tuple[Kind, ...]] = ("reward", "judge", "evaluator")


@dataclass(frozen=True)
class Section:
    """A component chosen by name, its options validated.

    Args:
        given: the options as they were written; a Python function stays a function here.
    """

    found: Found
    options: Options
    given: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        return self.found.component.kind

    @property
    def name(self) -> str:
        return self.found.component.name

    def plain(self) -> dict[str, Any]:
        """The section with every default filled in."""
        return {NAMED_BY[self.kind]: self.name, **self.options.model_dump(mode="json")}

    def build(self, folders: Mapping[str, str] | None = None) -> Any:
        """The component itself; ``stage:NAME`` in its options stands for the run folder in ``folders``."""
        return self.found.build(with_stages_resolved(self.given, folders or {}))


class SectionReader:
    """Turns section nodes into sections, adding every mistake to ``findings``."""

    def __init__(self, catalog: Catalog, findings: Findings) -> None:
        self.catalog = catalog
        self.findings = findings

    def read(self, node: Node, kind: Kind, keys: Keys, *, drop: tuple[str, ...] = ()) -> Section | None:
        """The section that is written at ``node``.

        Args:
            keys: the way to the node, for messages.
            drop: keys of the section that are not the component's.
        """
        key = NAMED_BY[kind]
        name = node.get(key)
        if name is None or not isinstance(name.value, str):
            what = "is missing" if name is None else f"= {name.value!r}: must be the name of a {kind}"
            self.findings.add((name or node).place, f"{_path(keys)}{key} {what}, such as {{{key}: {self._any(kind)}}}")
            return None
        return self.named(name, node.without(key, *drop), kind, keys)

    def named(self, name: Node, options: Node, kind: Kind, keys: Keys) -> Section | None:
        """The component ``name`` with the options at ``options``."""
        try:
            found = self.catalog.find(kind, str(name.value))
            cls = found.options_class()
        except MissingComponent as error:
            self.findings.catch(name, error)
            return None
        checked = validate(options, cls, self.findings, owner=str(name.value), prefix=keys)
        if checked is None:
            return None
        for inner, section in nested(checked):
            self._read_nested(options, section, (*keys, *inner), inner)
        return Section(found, checked, options.plain())

    def _read_nested(self, options: Node, section: Mapping[str, Any], keys: Keys, inner: Keys) -> None:
        kind = next(kind for kind in _NESTED if kind in section)
        written = options.nearest(inner)
        kept = {key: written.get(key) or node_of(value, written.place) for key, value in section.items()}
        self.read(Node(kept, written.place, written.folder), kind, keys)

    def _any(self, kind: Kind) -> str:
        names = self.catalog.names(kind)
        return names[0] if names else "NAME"


def require_installed(*sections: Section) -> None:
    """Raises: MissingComponent for a section whose component needs a package that is not there."""
    for section in sections:
        section.found.target()


def nested(options: BaseModel) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    """Sections of further components inside options, with their keys.

    They are mappings that name a reward, judge or evaluator, and option objects that have a ``section`` (a weighted
    sum's parts, which carry a weight beside it).
    """
    for name in type(options).model_fields:
        yield from _nested_in(getattr(options, name), (name,))


def _nested_in(value: object, keys: Keys) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    if isinstance(value, BaseModel):
        value = getattr(value, "section", None)
    if isinstance(value, Mapping):
        if any(isinstance(value.get(kind), str) for kind in _NESTED):
            yield keys, value
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _nested_in(item, (*keys, index))


def stage_references(value: object) -> Iterator[str]:
    """Names of the stages that a plain value refers to as ``stage:NAME``, at any depth."""
    if isinstance(value, str) and value.startswith(STAGE_PREFIX):
        yield value.removeprefix(STAGE_PREFIX)
    elif isinstance(value, Mapping):
        yield from stage_references(list(value.values()))
    elif isinstance(value, list | tuple):
        for child in value:
            yield from stage_references(child)


def with_stages_resolved(value: Any, folders: Mapping[str, str]) -> Any:
    """A plain value with each ``stage:NAME`` replaced by that stage's run folder.

    Raises: RLHFError naming a stage that has no run.
    """
    if isinstance(value, str) and value.startswith(STAGE_PREFIX):
        name = value.removeprefix(STAGE_PREFIX)
        if name not in folders:
            raise RLHFError(f"{value}: stage {name!r} has no finished run; there are {', '.join(folders) or 'none'}")
        return folders[name]
    if isinstance(value, Mapping):
        return {key: with_stages_resolved(child, folders) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [with_stages_resolved(child, folders) for child in value]
    return value


def _path(keys: Keys) -> str:
    return f"{dotted(keys)}." if keys else ""
