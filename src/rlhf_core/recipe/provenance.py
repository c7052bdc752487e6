"""What a run came from: command, versions, machine, state of the code."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rlhf_core.registry.catalog import Catalog

_LIBRARIES = ("rlhf_core", "torch", "transformers", "peft", "datasets", "tokenizers")


def provenance(catalog: Catalog, command: str) -> dict[str, Any]:
    """Entries of ``run.json``. Nothing of the environment's variables is in it: those may hold keys."""
    return {
        "command": command,
        "versions": {"python": platform.python_version(), **_versions(), **_plugin_versions(catalog)},
        "platform": platform.platform(),
        "git": git_state(Path.cwd()),
    }


def command_line() -> str:
    """The command as it was typed, for the record."""
    import shlex

    name = Path(sys.argv[0]).name if sys.argv else "python"
    return shlex.join([name, *sys.argv[1:]])


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the working folder and whether files differ from it; None outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _plugin_versions(catalog: Catalog) -> dict[str, str]:
    return {p.distribution: p.version for p in catalog.plugins if p.status == "ok" and not p.first_party}
