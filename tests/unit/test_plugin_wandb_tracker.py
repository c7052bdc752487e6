"""What W&B itself keeps of a run without a network."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import pytest
from evaluation_standins import build

from rlhf_core.contract.errors import RLHFError

pytest.importorskip("wandb", reason="the extra `wandb` is not installed")


def records(run: Path) -> list[bytes]:
    """The files of its starts, oldest first."""
    return [path.read_bytes() for path in sorted((run / "wandb").glob("offline-run-*/run-*.wandb"))]


@pytest.fixture(autouse=True)
def _beside_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of the judge is loaded, as in an evaluation that is tracked."""
    monkeypatch.delenv("WANDB_DISABLE_WEAVE", raising=False)
    importlib.import_module("openai")


def test_an_offline_run_goes_on_under_its_id_with_our_steps(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for step, loss in ((1, 0.53125), (0, 0.28125)):  # the second start goes back
        tracker = build("wandb_tracker", "tracker", "wandb")
        tracker.start(tmp_path, {"trainer": {"beta": 0.1875}})
        tracker.log(step, {"train/loss": loss})
        tracker.finish()
        time.sleep(1.1)  # W&B names the files of a start by its second
    identity = (tmp_path / "tracking-id").read_text()
    first, second = records(tmp_path)
    assert identity.encode() in first
    assert identity.encode() in second
    assert b"train/loss" in first
    assert b"0.53125" in first
    assert b"0.1875" in first  # the recipe
    assert b"0.28125" in second
    assert capfd.readouterr() == ("", "")


def test_online_without_a_key_is_refused_with_its_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    tracker = build("wandb_tracker", "tracker", "wandb", mode="online")
    with pytest.raises(RLHFError, match="set WANDB_API_KEY, or leave mode = offline"):
        tracker.start(tmp_path, {})
