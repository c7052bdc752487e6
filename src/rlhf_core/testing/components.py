"""What every plugin module and every declared component must be, whatever its kind."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from rlhf_core.contract.components import API_VERSION, Component, Kind
from rlhf_core.contract.options import NoOptions, Options
from rlhf_core.registry.options import option_problems

from .expecting import expecting

HEAVY: Final = ("torch", "transformers", "pydantic")
"""Seconds of import time that `rlhf plugins` and `--help` must not spend."""
SUMMARY_LENGTH: Final = 110
"""Beside kind and name, on one line of a wide terminal."""

_CHECKS: Final[Mapping[Kind, str]] = {
    "trainer": "trainers:check_trainer",
    "reward": "rewards:check_reward",
    "evaluator": "evaluators:check_evaluator",
    "judge": "judges:check_judge",
    "backbone": "backbones:check_backbone",
    "tracker": "trackers:check_tracker",
    "dataset": "datasets:check_dataset",
}


def check_plugin(module: str) -> None:
    """The module that an entry point names: light to import, with at least one component, no name given twice.

    Raises: AssertionError in one line.
    """
    heavy = _imported_by(module)
    assert not heavy, f"importing {module} imports {', '.join(heavy)}: only name modules in target= and options="
    hook = getattr(importlib.import_module(module), "rlhf_components", None)
    assert hook is not None, f"{module} has no rlhf_components()"
    assert hasattr(hook, "rlhf_core_impl"), f"{module}.rlhf_components is not marked with @hookimpl"
    components = list(hook())
    assert components, f"{module}.rlhf_components() yields no component"
    wrong = [component for component in components if not isinstance(component, Component)]
    assert not wrong, f"{module}.rlhf_components() yields {wrong[0]!r}, which is no Component"
    names = [(component.kind, component.name) for component in components]
    twice = [f"{kind}:{name}" for kind, name in names if names.count((kind, name)) > 1]
    assert not twice, f"{module} offers {twice[0]} more than once"


def check_component(component: Component, *, options: Mapping[str, Any] | None = None, **given: Any) -> None:
    """The record is whole, its options are documented, and what it builds passes the check of its kind.

    Args:
        options: to build it with; needed where an option has no default.
        given: further arguments of the kind's own check, such as ``records=`` of :func:`.trainers.check_trainer`.
    Raises: AssertionError in one line.
    """
    label = f"{component.kind} {component.name}"
    check_declaration(component)
    chosen = _options(label, component, options or {})
    with expecting(f"{label}: {component.target}(options)"):
        built = _load(label, component.target)(chosen)
    module, _, function = _CHECKS[component.kind].partition(":")
    check: Callable[..., None] = getattr(importlib.import_module(f".{module}", __package__), function)
    check(built, **given)


def check_declaration(component: Component) -> None:
    """The part of :func:`check_component` that builds nothing."""
    label = f"{component.kind} {component.name}"
    summary = component.summary
    assert summary, f"{label}: its summary is empty"
    assert summary.splitlines() == [summary.strip()], f"{label}: its summary must be one line of text: {summary!r}"
    assert len(summary) <= SUMMARY_LENGTH, (
        f"{label}: its summary has {len(summary)} characters, a line of a listing has room for {SUMMARY_LENGTH}"
    )
    assert component.api == API_VERSION, (
        f"{label}: it speaks version {component.api} of the contract, not {API_VERSION}"
    )
    assert callable(_load(label, component.target)), f"{label}: {component.target} cannot be called with options"
    if component.options is not None:
        _check_options(label, _load(label, component.options))


def _options(label: str, component: Component, given: Mapping[str, Any]) -> Options:
    cls: type[Options] = _load(label, component.options) if component.options else NoOptions
    try:
        return cls.model_validate(dict(given))
    except ValidationError as error:
        told = "; ".join(problem.line() for problem in option_problems(error, cls, component.name))
        raise AssertionError(f"{label}: {told} (give options= that build it)") from error


def _check_options(label: str, cls: Any) -> None:
    fits = inspect.isclass(cls) and issubclass(cls, Options)
    assert fits, f"{label}: its options must be a subclass of contract.options.Options, found {cls!r}"
    assert cls.model_config.get("extra") == "forbid", f"{label}: {cls.__name__} must forbid unknown keys"
    assert cls.model_config.get("frozen"), f"{label}: {cls.__name__} must be frozen"
    silent = [f"{owner.__name__}.{name}" for owner, name in _undocumented(cls, set())]
    assert not silent, f"{label}: {silent[0]} has no docstring below it: it is the help that users see"
    with expecting(f"{label}: the JSON schema of {cls.__name__}"):
        cls.model_json_schema()


def _undocumented(cls: type[Options], seen: set[type]) -> Iterator[tuple[type[Options], str]]:
    """Fields without a description, of the options and of options within them."""
    seen.add(cls)
    for name, field in cls.model_fields.items():
        if not (field.description or "").strip():
            yield cls, name
        for inner in _options_within(field.annotation):
            if inner not in seen:
                yield from _undocumented(inner, seen)


def _options_within(annotation: Any) -> Iterator[type[Options]]:
    if inspect.isclass(annotation) and issubclass(annotation, Options):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _options_within(argument)


def _load(label: str, path: str) -> Any:
    module, _, attribute = path.partition(":")
    with expecting(f"{label}: importing {path}"):
        return getattr(importlib.import_module(module), attribute)


def _imported_by(module: str) -> list[str]:
    """Which heavy packages a fresh interpreter has after importing the module."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import {module}; "
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"importing {module} fails: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
    return done.stdout.split()
