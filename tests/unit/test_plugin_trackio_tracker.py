"""What trackio itself reads back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trackio", reason="the extra `trackio` is not installed")

PROGRAM = """
import json, sys
from pathlib import Path
from evaluation_standins import build
for step, loss in ((1, 0.5), (2, 0.25), (2, 0.125)):  # the last start goes over a step again
    tracker = build("trackio_tracker", "tracker", "trackio", project="ours")
    tracker.start(Path(sys.argv[1]), {"trainer": {"beta": 0.1}})
    tracker.log(step, {"train/loss": loss})
    tracker.finish()
from trackio.sqlite_storage import SQLiteStorage
(name,) = SQLiteStorage.get_runs("ours")
print(json.dumps([name, SQLiteStorage.get_logs("ours", name)]))
"""


def test_a_run_goes_on_under_its_name_and_stays_on_this_machine(tmp_path: Path) -> None:
    run = tmp_path / "ppo"
    run.mkdir()
    # trackio takes its folder from the environment when it is imported.
    env = {**os.environ, "TRACKIO_DIR": str(tmp_path / "kept"), "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(run)], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    name, rows = json.loads(done.stdout)  # and nothing else was printed
    assert name == f"ppo-{(run / 'tracking-id').read_text()}"
    assert [(row["step"], row["train/loss"]) for row in rows] == [(1, 0.5), (2, 0.25), (2, 0.125)]
    assert (tmp_path / "kept" / "ours.db").is_file()
