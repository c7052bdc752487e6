"""Load plugins from entry points, each on its own: one that is broken becomes a row with a reason, never a crash.

pluggy's own entry-point loader is a bare ``load()`` that lets one plugin take all down, drops the second of two equal
names in silence and says nothing of a misspelt hook; hence this one.
"""

from __future__ import annotations

import importlib.metadata
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

import pluggy

from rlhf_core.contract import hookspecs
from rlhf_core.contract.components import API_VERSION, ENTRY_POINT_GROUP, PROJECT, Component
from rlhf_core.contract.errors import MissingComponent

FIRST_PARTY: Final = "rlhf-core"
IMPORT_SECONDS: Final = 10.0

T = TypeVar("T")
Status = Literal["ok", "failed", "off"]


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One entry point and what became of it.

    Args:
        name: the entry point's name; ``distribution`` and ``version`` say which package brought it.
        status: ``failed`` with a ``reason`` and its ``fix``, ``off`` when the user switched it off.
        module: what the entry point loads, registered for hooks; None unless ``ok``.
    """

    name: str
    distribution: str
    version: str
    status: Status = "ok"
    reason: str = ""
    fix: str = ""
    components: tuple[Component, ...] = ()
    module: object | None = None

    @property
    def qualified(self) -> str:
        return f"{self.distribution}/{self.name}"

    @property
    def first_party(self) -> bool:
        return self.distribution == FIRST_PARTY


class PluginFault(Exception):
    """Why a plugin cannot be used, and what to do about it."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.fix = fix


def make_manager() -> pluggy.PluginManager:
    """A plugin manager that knows the hooks of the contract and no plugin."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def discover(
    *, off: Sequence[str] = (), third_party: bool = True, strict: bool | None = None, seconds: float = IMPORT_SECONDS
) -> list[Plugin]:
    """Every plugin that is installed, first-party first, then by distribution and name.

    Args:
        off: names (``dpo`` or ``acme-rlhf/dpo``) that are listed and not loaded.
        third_party: False loads the first-party plugins alone.
        strict: raise at the first broken plugin; by default as ``RLHF_STRICT_PLUGINS=1`` says.
        seconds: how long one plugin may take to import.
    Raises: MissingComponent naming the broken plugin, when strict.
    """
    strict = os.environ.get("RLHF_STRICT_PLUGINS", "") not in ("", "0") if strict is None else strict
    found: list[Plugin] = []
    for plugin, entry_point in _entry_points():
        if not (plugin.first_party or third_party) or plugin.name in off or plugin.qualified in off:
            found.append(replace(plugin, status="off", reason="switched off on the command line"))
            continue
        loaded = _load_isolated(plugin, entry_point, seconds, taken=_taken(found, plugin.distribution))
        if loaded.status == "failed" and strict:
            raise MissingComponent(f"plugin {loaded.qualified} is broken: {loaded.reason}; {loaded.fix}")
        found.append(loaded)
    return found


def _entry_points() -> list[tuple[Plugin, importlib.metadata.EntryPoint]]:
    rows: dict[tuple[str, str], tuple[Plugin, importlib.metadata.EntryPoint]] = {}
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        dist = entry_point.dist
        name = dist.name.lower().replace("_", "-") if dist else "unknown"
        plugin = Plugin(name=entry_point.name, distribution=name, version=dist.version if dist else "")
        # The same distribution can be on the path twice (editable install and folder): the first wins, as for imports.
        rows.setdefault((name, entry_point.name), (plugin, entry_point))
    return sorted(rows.values(), key=lambda row: (not row[0].first_party, row[0].distribution, row[0].name))


def _load_isolated(
    plugin: Plugin, entry_point: importlib.metadata.EntryPoint, seconds: float, taken: dict[tuple[str, str], str]
) -> Plugin:
    try:
        module, components = _within(seconds, lambda: _load(plugin, entry_point, taken))
    except PluginFault as fault:
        return replace(plugin, status="failed", reason=str(fault), fix=fault.fix)
    return replace(plugin, components=components, module=module)


def _load(
    plugin: Plugin, entry_point: importlib.metadata.EntryPoint, taken: dict[tuple[str, str], str]
) -> tuple[object, tuple[Component, ...]]:
    """Import it and ask it, in a manager of its own, what it offers. Raises: PluginFault, or what the plugin raises."""
    module = entry_point.load()
    manager = make_manager()
    try:
        manager.register(module, plugin.qualified)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = ", ".join(name for name in vars(hookspecs) if name.startswith("rlhf_"))
        raise PluginFault(str(error).splitlines()[-1].strip(), f"the hooks are {hooks}") from error
    if not manager.get_hookcallers(module):
        raise PluginFault("declares no hook", "mark a function rlhf_components() with @rlhf_core.hookimpl")
    components = tuple(_flatten(manager.hook.rlhf_components()))
    _check_components(plugin, components, taken)
    return module, components


def _flatten(offers: Iterable[Iterable[object]]) -> Iterable[Component]:
    for offer in offers:
        for component in offer:
            if not isinstance(component, Component):
                raise PluginFault(
                    f"rlhf_components() gave a {type(component).__name__}", "yield rlhf_core.Component records"
                )
            yield component


def _check_components(plugin: Plugin, components: Sequence[Component], taken: dict[tuple[str, str], str]) -> None:
    for component in components:
        if component.api != API_VERSION:
            older = "a newer rlhf_core" if component.api > API_VERSION else f"a newer {plugin.distribution}"
            raise PluginFault(
                f"{component.kind}:{component.name} speaks version {component.api} of the plugin contract, "
                f"this rlhf_core speaks version {API_VERSION}",
                f"install {older}",
            )
        other = taken.get((component.kind, component.name))
        if other is not None:
            raise PluginFault(
                f"{component.kind}:{component.name} is offered by plugin {other!r} of {plugin.distribution} already",
                "give one of them another name",
            )
        taken[component.kind, component.name] = plugin.name


def _taken(found: Sequence[Plugin], distribution: str) -> dict[tuple[str, str], str]:
    return {
        (component.kind, component.name): plugin.name
        for plugin in found
        if plugin.distribution == distribution
        for component in plugin.components
    }


def _within(seconds: float, work: Callable[[], T]) -> T:
    """``work()`` in a thread that is left behind when it takes too long. Raises: PluginFault for whatever went wrong.

    A thread and not an alarm signal, since that neither interrupts a call that hangs outside Python nor works beside
    the main thread. The thread is a daemon: it does not keep the process from ending.
    """
    results: list[T] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # a plugin may raise anything, SystemExit included
            faults.append(error)

    thread = threading.Thread(target=run, name="rlhf-plugin-import", daemon=True)
    thread.start()
    thread.join(seconds)
    if results:
        return results[0]
    if not faults:
        raise PluginFault(f"did not finish importing within {seconds:g} s", "do slow work on use, not on import")
    raise _fault(faults[0])


def _fault(error: BaseException) -> PluginFault:
    if isinstance(error, PluginFault):
        return error
    if isinstance(error, SystemExit):
        return PluginFault(f"called sys.exit({error.code!r}) at import", "report it to the plugin's author")
    if isinstance(error, ModuleNotFoundError) and error.name:
        return PluginFault(f"needs the package {error.name!r}", f"pip install {error.name.split('.')[0]}")
    return PluginFault(f"{type(error).__name__}: {error}".splitlines()[0], "report it to the plugin's author")
