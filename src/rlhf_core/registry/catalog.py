"""What there is to choose from by name, and from name to object."""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from rlhf_core.contract.components import Component, Kind
from rlhf_core.contract.errors import MissingComponent, Problems

from .discovery import IMPORT_SECONDS, Plugin, discover, make_manager

if TYPE_CHECKING:
    from rlhf_core.contract.options import Options


@dataclass(frozen=True)
class Found:
    """A component and the plugin that brought it. Nothing of it is imported until it is used."""

    component: Component
    plugin: Plugin

    @property
    def qualified(self) -> str:
        """``acme-rlhf/dpo``: distribution and component name; unambiguous within a kind."""
        return f"{self.plugin.distribution}/{self.component.name}"

    def options_class(self) -> type[Options]:
        """Raises: MissingComponent when its module cannot be imported."""
        if self.component.options is None:
            from rlhf_core.contract.options import NoOptions

            return NoOptions
        options: type[Options] = self._import(self.component.options)
        return options

    def target(self) -> Any:
        """The class or function itself, not called. Raises: MissingComponent when a package it needs is absent."""
        absent = self.missing_extras()
        if absent:
            raise MissingComponent(
                f"{self.component.kind} {self.component.name!r} needs {', '.join(absent)}, not installed here: "
                f"{self.install_hint(absent)}"
            )
        return self._import(self.component.target)

    def build(self, options: Options | Mapping[str, object]) -> Any:
        """The component with its options; a mapping is validated first.

        Raises: Problems with one line per wrong option; MissingComponent as :meth:`target`.
        """
        from rlhf_core.contract.options import Options

        checked = options if isinstance(options, Options) else self._validate(options)
        return self.target()(checked)

    def missing_extras(self) -> list[str]:
        return [name for name in self.component.extras if importlib.util.find_spec(name) is None]

    def _validate(self, options: Mapping[str, object]) -> Options:
        from pydantic import ValidationError

        from .options import option_problems

        cls = self.options_class()
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            name = self.component.name
            problems = option_problems(error, cls, name)
            raise Problems([f"{self.component.kind} {name}: {problem.line()}" for problem in problems]) from error

    def _import(self, path: str) -> Any:
        module, _, attribute = path.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:  # a plugin's module may raise anything
            raise MissingComponent(
                f"{self.component.kind} {self.qualified}: cannot import {path}: {type(error).__name__}: {error}; "
                f"reinstall {self.plugin.distribution}, or report it to its author"
            ) from error

    def install_hint(self, absent: Sequence[str]) -> str:
        """``pip install 'rlhf_core[track]'`` where the distribution declares an extra that brings it."""
        try:
            requirements = importlib.metadata.requires(self.plugin.distribution) or []
        except importlib.metadata.PackageNotFoundError:
            requirements = []
        for requirement in requirements:
            extra = re.search(r"""^([\w.-]+).*extra\s*==\s*["']([\w-]+)["']""", requirement)
            if extra and extra[1] in absent and extra[2] != "dev":
                return f"pip install '{self.plugin.distribution}[{extra[2]}]'"
        return f"pip install {' '.join(absent)}"


class Catalog:
    """The plugins of this environment and the components they offer."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self.manager: pluggy.PluginManager = make_manager()
        for plugin in self.plugins:
            if plugin.status == "ok":
                self.manager.register(plugin.module, plugin.qualified)

    @classmethod
    def load(
        cls, *, off: Sequence[str] = (), third_party: bool = True, strict: bool | None = None,
        seconds: float = IMPORT_SECONDS,
    ) -> Catalog:  # fmt: skip
        """Discover; see :func:`.discovery.discover` for the arguments."""
        return cls(discover(off=off, third_party=third_party, strict=strict, seconds=seconds))

    def rows(self, kind: Kind | None = None) -> list[Found]:
        """Every usable component (of a kind), first-party first."""
        return [
            Found(component, plugin)
            for plugin in self.plugins
            for component in plugin.components
            if kind in (None, component.kind)
        ]

    def names(self, kind: Kind) -> list[str]:
        """Names by which components of a kind can be asked for: bare where that is unique, else qualified."""
        rows = self.rows(kind)
        bare = [row.component.name for row in rows]
        return [row.component.name if bare.count(row.component.name) == 1 else row.qualified for row in rows]

    def find(self, kind: Kind, name: str) -> Found:
        """The component of that name, ``dpo`` or ``acme-rlhf/dpo``.

        Raises: MissingComponent with what there is, a near name, or the qualified names to choose from.
        """
        rows = self.rows(kind)
        matches = [row for row in rows if name in (row.component.name, row.qualified)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            choices = " or ".join(row.qualified for row in matches)
            raise MissingComponent(f"{kind} {name!r} is offered by {len(matches)} plugins: say {choices}")
        raise MissingComponent(f"no {kind} {name!r}{self._why_not(kind, name)}")

    def _why_not(self, kind: Kind, name: str) -> str:
        for plugin in self.plugins:
            if plugin.status != "ok" and name in (plugin.name, plugin.qualified):
                mend = f"; {plugin.fix}" if plugin.fix else ""
                return f": plugin {plugin.qualified} is {plugin.status}: {plugin.reason}{mend}"
        names = self.names(kind)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        there = f"; there are {', '.join(sorted(names))}" if names else "; no installed plugin offers one"
        return f"{hint}{there} (see `rlhf plugins`; others come with `pip install`)"


@functools.cache
def default_catalog() -> Catalog:
    """All plugins that are installed, discovered once per process: for use from Python."""
    return Catalog.load()
