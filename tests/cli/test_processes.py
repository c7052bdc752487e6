"""`--procs 2` on one host: the weights of one process, told once, by the first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from conftest import WORDS, make_base, write_rows

RECIPE = """\
name: small
model: {path: base, lora: {r: 2}}
template: {prompt: "{prompt}\\n", completion: "{completion}"}
sampling: {max_new_tokens: 4}
data: {sources: [{path: pairs.jsonl}], validation: {fraction: 0.3}}
training: {batch_size: 4, eval_rows: 3, sample_prompts: 1, eval_every: 2, learning_rate: 1.0e-3, steps: 2}
stages:
  - {algo: dpo}
  - {algo: ppo, reward: {reward: python, function: "fails.py:score"}}
"""
FAILS = """\
import os
def score(prompt, completion):
    if os.environ.get("RANK") == "1":
        raise ValueError("only here")
    return 0.0
"""


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    alone = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    command = [sys.executable, "-m", "rlhf_core.cli.main", "train", "--config", "small.yaml", *words]
    return subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True, check=False, timeout=500)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    make_base(folder / "base")
    rows = [{"prompt": f"say {word}", "chosen": f"the {word} sings", "rejected": f"no {word}"} for word in WORDS]
    write_rows(folder / "pairs.jsonl", rows)
    (folder / "small.yaml").write_text(RECIPE)
    (folder / "fails.py").write_text(FAILS)
    return folder


def test_two_processes_leave_what_one_leaves_and_another_number_does_not_go_on(place: Path) -> None:
    one = typed(place, "--algo", "dpo", "--output", "one")
    two = typed(place, "--algo", "dpo", "--output", "two", "--procs", "2")
    assert (one.returncode, two.returncode) == (0, 0), two.stderr
    assert two.stdout.count("step 2/2  loss") == 1
    assert "PeftModel.from_pretrained(base, 'two/model')" in two.stdout
    alone, shared = (load_file(place / name / "model" / "adapter_model.safetensors") for name in ("one", "two"))
    assert alone.keys() == shared.keys()
    assert max(float((alone[name] - shared[name]).abs().max()) for name in alone) < 1e-5
    assert any(float(value.abs().max()) > 1e-4 for name, value in alone.items() if "lora_B" in name), "nothing moved"
    lines = [(place / name / "metrics.jsonl").read_text().splitlines() for name in ("one", "two")]
    assert len(lines[0]) == len(lines[1])
    info = json.loads((place / "two" / "run.json").read_text())
    assert info["processes"] == 2
    (place / "two" / "run.json").write_text(json.dumps({**info, "status": "stopped"}))
    refused = typed(place, "--resume", "two")
    assert refused.returncode == 2
    assert "processes: 2 → 1" in refused.stderr


def test_what_fails_in_one_process_is_told_once_and_ends_all(place: Path) -> None:
    done = typed(place, "--algo", "ppo", "--output", "failed", "--procs", "2")
    assert done.returncode == 2
    assert done.stderr.count("only here") == 1
    assert "process 1 of 2: error: reward" in done.stderr
    assert "Traceback" not in done.stderr
