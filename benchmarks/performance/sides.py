"""Runs one side of a comparison in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

from environments import python_of
from fixtures import ROOT
from measuring import Measured
from task import Task

Side = Literal["ours", "theirs"]
HERE = Path(__file__).parent


def run(side: Side, task: Task, *, threads: int = 1) -> Measured:
    """Raises: SystemExit with the end of what it printed, where it failed."""
    python = Path(sys.executable) if side == "ours" else python_of(task.algo)
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "RLHF_BENCH": str(ROOT),
        "TOKENIZERS_PARALLELISM": "false",
    }  # fmt: skip
    command = [str(python), str(HERE / f"{side}.py"), *task.options()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))
