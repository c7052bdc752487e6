"""What is installed: packages against the ranges of this distribution, plugins, keys, caches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from rlhf_core.contract.components import KINDS
from rlhf_core.contract.errors import RLHFError
from rlhf_core.recipe.written.locate import recipe_names, resource_path
from rlhf_core.registry.catalog import Catalog
from rlhf_core.registry.discovery import Plugin
from rlhf_core.store.logprobs import cache_folder

from ..amounts import size
from .finding import Finding

DISTRIBUTION = "rlhf_core"
BASE = "res:tiny-gpt2"
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
KEY_OPTION = "_env"
"""Options of components whose names end so hold the name of an environment variable."""


def installation(catalog: Catalog) -> Iterator[Finding]:
    yield from packages([Requirement(text) for text in requires(DISTRIBUTION) or []])
    yield embedded()
    for plugin in catalog.plugins:
        if plugin.status != "ok" or not plugin.first_party:
            yield plugin_finding(plugin)
    yield from components(catalog)
    yield from keys(catalog, os.environ)
    yield from hub(os.environ)
    yield own_cache()


def packages(requirements: list[Requirement]) -> Iterator[Finding]:
    """Every package that is needed, and those of the extras a user may install."""
    extras = [extra for extra in metadata(DISTRIBUTION).get_all("Provides-Extra") or [] if extra != "dev"]
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield package(requirement)
            continue
        for extra in extras:
            if requirement.marker.evaluate({"extra": extra}):
                yield package(requirement, extra=extra)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    yield Finding(area="packages", subject="chromium", says=browser or "not here; only the report's own tests want it")


def package(requirement: Requirement, *, extra: str | None = None) -> Finding:
    """A missing package of an extra is a note; what is needed, or too old, is a problem."""
    name, wanted = requirement.name, str(requirement.specifier)
    found = partial(Finding, area="packages", subject=name)
    mend = f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install '{name}{wanted}'"
    try:
        installed = version(name)
    except PackageNotFoundError:
        if extra:
            return found(level="note", says=f"not installed; the extra '{extra}' brings it", mend=mend)
        return found(level="problem", says=f"not installed; {wanted or 'any version'} is needed", mend=mend)
    if requirement.specifier.contains(installed, prereleases=True):
        return found(says=f"{installed} ({wanted})" if wanted else installed)
    mend = f"pip install '{name}{wanted}'"
    return found(level="problem", says=f"{installed}, but {wanted} is needed", mend=mend)


def embedded() -> Finding:
    """Recipes and the tiny model come with the package; an install that lost them fails at the first command."""
    found = partial(Finding, area="packages", subject="embedded")
    names = recipe_names()
    try:
        model = Path(resource_path(BASE), "model.safetensors").is_file()
    except RLHFError:
        model = False
    if names and model:
        return found(says=f"the tiny model and {len(names)} recipes")
    lacking = "the tiny model" if names else "recipes"
    return found(level="problem", says=f"{lacking} did not come with the package", mend=f"reinstall {DISTRIBUTION}")


def plugin_finding(plugin: Plugin) -> Finding:
    found = partial(Finding, area="plugins", subject=plugin.qualified)
    if plugin.status == "failed":
        return found(level="problem", says=plugin.reason, mend=plugin.fix)
    if plugin.status == "off":
        return found(level="note", says=plugin.reason)
    return found(says=f"{plugin.version}, {len(plugin.components)} components")


def components(catalog: Catalog) -> Iterator[Finding]:
    """How many there are; those that lack a package; names that two packages offer."""
    found = partial(Finding, area="plugins")
    rows = catalog.rows()
    yield found(
        subject="components", says=f"{len(rows)} from {len({row.plugin.distribution for row in rows})} packages"
    )
    for row in rows:
        subject, absent = f"{row.component.kind}:{row.component.name}", row.missing_extras()
        if absent:
            says = f"needs {', '.join(absent)}, not installed"
            yield found(subject=subject, level="note", says=says, mend=row.install_hint(absent))
        try:
            row.options_class()
        except RLHFError as error:
            yield found(subject=subject, level="problem", says=str(error))
    for kind in KINDS:
        offered: dict[str, list[str]] = {}
        for row in catalog.rows(kind):
            offered.setdefault(row.component.name, []).append(row.qualified)
        for name, qualified in offered.items():
            if len(qualified) > 1:
                mend = f"say {' or '.join(qualified)}"
                yield found(
                    subject=f"{kind}:{name}", level="note", says=f"offered by {len(qualified)} packages", mend=mend
                )


def keys(catalog: Catalog, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the variables are set that components take keys from. What they hold is never shown."""
    for row in catalog.rows():
        try:
            fields = row.options_class().model_fields
        except RLHFError:
            continue  # told as a problem of the component
        for name, field in fields.items():
            if name.endswith(KEY_OPTION) and isinstance(field.default, str):
                who = f"{row.component.kind} {row.component.name}"
                given = bool(environment.get(field.default, "").strip())
                says = "set" if given else f"not set; {who} needs it, unless its server wants none"
                yield Finding(area="keys", subject=field.default, level="ok" if given else "note", says=says)
    says = "set" if environment.get("HF_TOKEN") else "not set; only gated or private models of the hub need it"
    yield Finding(area="keys", subject="HF_TOKEN", says=says)


def hub(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Where models of the hub are kept, and whether it may be asked. It is not asked here: that may hang."""
    home = Path(environment.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    cache = Path(environment.get("HF_HUB_CACHE") or home / "hub")
    kept = sorted(path.name.removeprefix("models--").replace("--", "/") for path in cache.glob("models--*"))
    says = f"{len(kept)} models" + (f" ({', '.join(kept[:5])}{', …' * (len(kept) > 5)})" if kept else "")
    yield Finding(area="hub", subject=f"cache {cache}", says=says)
    set_ = [name for name in OFFLINE if environment.get(name, "").upper() in ("1", "TRUE", "YES", "ON")]
    if set_:
        says = f"offline by {', '.join(set_)}: only what is in the cache, or a folder, can be loaded"
    else:
        says = "may be asked for what is not in the cache; HF_HUB_OFFLINE=1 forbids it (not tried here)"
    yield Finding(area="hub", subject="network", says=says)
    endpoint = environment.get("HF_ENDPOINT")
    if endpoint:
        yield Finding(area="hub", subject="endpoint", says=endpoint)


def own_cache() -> Finding:
    """What trainings keep for later ones."""
    folder = cache_folder()
    held = sum(path.stat().st_size for path in folder.glob("reference-logprobs/*") if path.is_file())
    says = f"{size(held)} of reference logprobs; may be deleted while nothing trains" if held else "nothing kept"
    return Finding(area="cache", subject=str(folder), says=says)
