"""`rlhf label`, as a user types it: from a trained run to pairs that are trained on."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Rlhf

LABEL = [sys.executable, "-u", "-m", "rlhf_core.cli.main", "label"]


def label_by_left(home: Path, *words: str, choices: int) -> tuple[str, str]:
    """Label on the page that the command serves; (what it printed, the last item told)."""
    # A test run in the background of a shell ignores SIGINT, and what it starts would inherit that.
    with subprocess.Popen(
        [*LABEL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as page:  # fmt: skip
        try:
            printed, told = answer(page, choices)
            page.send_signal(signal.SIGINT)
            out, err = page.communicate(timeout=120)
        finally:
            page.kill()
    assert (page.returncode, err) == (0, ""), out
    return printed + out, told


def answer(page: subprocess.Popen[str], choices: int) -> tuple[str, str]:
    assert page.stdout is not None
    lines: list[str] = []
    while not (lines and " asks " in lines[-1]):
        lines.append(page.stdout.readline())
        assert lines[-1], page.communicate()[1]
    host = lines[-1].split()[0].removeprefix("http://").rstrip("/")
    told = ""
    for place in range(choices):
        connection = http.client.HTTPConnection(host, timeout=60)
        body = json.dumps({"place": place, "choice": "left"})
        connection.request("POST", "/answer", body, {"Origin": f"http://{host}"})
        told = connection.getresponse().read().decode()
    return "".join(lines), told


@pytest.fixture
def stranger(home: Path) -> str:
    """A model that answers otherwise than the run, which has hardly left its base."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    GPT2LMHeadModel(GPT2Config.from_pretrained(home / "base")).save_pretrained(home / "stranger")
    AutoTokenizer.from_pretrained(home / "base").save_pretrained(home / "stranger")
    return "stranger"


def test_from_a_run_to_pairs_that_are_trained_on(rlhf: Rlhf, home: Path, stranger: str) -> None:
    words = ("runs/small/dpo", "--baseline", stranger, "--rater", "ana", "--repeats", "0", "--store", "people.sqlite")
    printed, told = label_by_left(home, *words, choices=2)
    assert "no evaluation against stranger yet: both are asked now" in printed
    assert json.loads(told)["done"] == 2
    printed, told = label_by_left(home, *words, choices=0)
    assert "asks ana, 2 of " in printed
    assert "asked now" not in printed
    done = rlhf("label", "stats", "runs/small/dpo", "--store", "people.sqlite")
    assert (done.code, done.err) == (0, "")
    assert "win rate of the run" in done.out
    assert "2 labels by ana (2)" in done.out
    done = rlhf("label", "export", "--output", "chosen.jsonl", "--store", "people.sqlite")
    assert done.out == "chosen.jsonl: 2 pairs\n"
    for algo in ("dpo", "reward"):
        done = rlhf("train", "--algo", algo, "--config", "small.yaml", "--data", "chosen.jsonl", "--set",
                    "data.validation=null", "--steps", "1", "--output", f"runs/of-people-{algo}")  # fmt: skip
        assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["label", "stats", "--store", "none.sqlite"], "none.sqlite: no labels there"),
        (["label", "nowhere"], "nowhere: no run there"),
        (["evaluate", "calibrate", "--ratings", "none.csv"], "none.csv: cannot be read"),
        (["label", "runs/small/dpo", "--evaluation", "none", "--store", "x.sqlite"], "no evaluation 'none'"),
    ],
)
def test_mistakes_are_told_in_one_line(rlhf: Rlhf, words: list[str], said: str) -> None:
    done = rlhf(*words)
    assert (done.code, said in done.err, len(done.err.splitlines())) == (2, True, 1)
