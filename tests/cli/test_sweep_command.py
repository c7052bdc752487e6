"""`rlhf sweep` on a tiny model: sharing, a point that fails, going on, what is written."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

import rlhf_core
from conftest import Rlhf
from rlhf_core.contract.errors import RLHFError
from rlhf_core.recipe.observing import Listener

RECIPE = """\
name: swept
model: {path: base, lora: {r: 2}}
template: {prompt: "{prompt}\\n", completion: "{completion}"}
sampling: {max_new_tokens: 4}
data: {sources: [{path: pairs.jsonl, map: {completion: chosen}}], validation: {fraction: 0.3}}
training: {batch_size: 4, steps: 1, eval_rows: 2, sample_prompts: 2}
stages:
  - {algo: sft}
  - {algo: ppo, from: sft, reward: {reward: python, function: "good.py:score"}}
evaluate:
  baseline: sft
  data: {sources: [{path: pairs.jsonl}], limit: 2}
  sampling: {max_new_tokens: 4}
"""
GOOD = "def score(prompt, completion):\n    return len(completion) / 10\n"
BAD = "def score(prompt, completion):\n    raise RuntimeError('no score today')\n"
FUNCTIONS = "stages.ppo.reward={reward: python, function: bad.py:score},{reward: python, function: good.py:score}"


@pytest.fixture
def recipe(home: Path) -> str:
    (home / "swept.yaml").write_text(RECIPE)
    (home / "good.py").write_text(GOOD)
    return "swept.yaml"


def written(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "sweep/sweep.json").read_text())
    return found


def test_a_failing_point_is_told_the_others_go_on_and_the_same_command_mends_it(
    rlhf: Rlhf, home: Path, recipe: str
) -> None:  # fmt: skip
    (home / "bad.py").write_text(BAD)
    words = ("sweep", recipe, "--grid", FUNCTIONS, "--output", "runs/mended")
    first = rlhf(*words)
    assert first.code != 0
    assert first.out.count("sft: sft into runs/mended/sft") == 1
    assert "failed: " in first.err
    assert "no score today" in first.err
    assert "Traceback" not in first.err
    found = written(home / "runs/mended")
    assert [point["status"] for point in found["points"]] == ["failed", "finished"]
    assert [row["seeds"] for row in found["table"]] == [0, 1]
    assert '<span class="error">failed</span>' in (home / "runs/mended/sweep/sweep.html").read_text()

    (home / "bad.py").write_text(GOOD)
    second = rlhf(*words)
    assert second.code == 0
    assert "sft: finished already, reused" in second.out
    assert second.out.count("ppo: finished already, reused") == 1
    bad, good = written(home / "runs/mended")["points"]
    assert good == found["points"][1]
    assert (bad["status"], bad["error"]) == ("finished", None)
    # The two rewards are the same now, and so are seed and start.
    assert bad["metrics"] == good["metrics"]


def test_a_stopped_sweep_goes_on_and_compares_all_seeds(home: Path, recipe: str, monkeypatch) -> None:
    monkeypatch.chdir(home)

    class Interrupt(Listener):
        def started(self, step: int, steps: int) -> None:
            if step == 0:
                os.kill(os.getpid(), signal.SIGINT)

    def sweep(observers=None, **more):
        grid = {"trainer.kl_coef": [0.0, 0.5]}
        told = []
        result = rlhf_core.sweep(
            recipe, grid, stage="ppo", seeds=(0, 1), output="runs/swept", tell=told.append, observers=observers, **more
        )
        return result, told

    cut, _ = sweep(lambda stage: [Interrupt()] if stage.name == "ppo" else [])
    assert cut.stopped
    assert [result.status for result in cut.points] == ["stopped"]
    whole, told = sweep()
    assert not whole.stopped
    assert told.count("ppo: was stopped, goes on: runs/swept/sweep/kl_coef=0.0,seed=0/ppo") == 1
    assert [row["setting"] for row in whole.table] == ["kl_coef 0.0", "kl_coef 0.5"]
    for row in whole.table:
        own = [r.metrics["score"] for r in whole.points if r.point.setting == row["setting"]]
        assert len(own) == 2
        assert own[0] != own[1]  # the seed acts
        assert row["metrics"]["score"]["mean"] == pytest.approx(sum(own) / 2)
        assert row["metrics"]["score"]["low"] < min(own)  # t of two runs is wide
        assert "text/distinct-2 − sft" in row["metrics"]
    page = whole.page.read_text()
    assert page.count("<title>kl_coef 0.0: ") == page.count("<title>kl_coef 0.5: ") >= 1


def test_mistakes_of_all_points_are_told_before_anything_is_trained(rlhf: Rlhf, home: Path, recipe: str) -> None:
    done = rlhf("sweep", recipe, "--grid", "stages.ppo.trainer.kl_coef=-1,.1,-2", "--output", "runs/never")
    assert done.code == 2
    assert "2 errors:" in done.err
    assert "kl_coef = -1" in done.err
    assert "kl_coef = -2" in done.err
    assert not (home / "runs/never").exists()
    wrong = rlhf("sweep", recipe, "--grid", "stages.ppo.trainer.kl_coef=.1", "--seeds", "0,x")
    assert wrong.code == 2
    assert "--seeds 0,x: write whole numbers, such as --seeds 0,1,2" in wrong.err
    with pytest.raises(RLHFError, match="the grid is empty"):
        rlhf_core.sweep(str(home / recipe), {})
