"""A virtual environment for each TRL: PPO left it after 1.12.0, and the project itself does not need it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from fixtures import ROOT
from workloads import Algo

PROJECT = Path(__file__).parents[2]
SAME = ("torch", "transformers", "peft", "accelerate", "datasets")
"""Packages whose versions are those of this environment, so that only TRL differs."""


def trl_version(algo: Algo) -> str:
    return "1.12.0" if algo == "ppo" else "1.16.0"


def python_of(algo: Algo) -> Path:
    """The interpreter that has the algorithm's TRL; installed now (a minute or two) unless it is there."""
    folder = ROOT / f"trl-{trl_version(algo)}"
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        print(f"installing TRL {trl_version(algo)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pins = [f"{name}=={version(name)}" for name in SAME]
        install = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--editable",
            str(PROJECT),
        ]
        subprocess.run([*install, f"trl=={trl_version(algo)}", *pins], check=True)
        done.touch()
    return python
