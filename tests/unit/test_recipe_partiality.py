"""A measure that also trained the run it measures is named; any other is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.recipe.measuring.partiality import warnings_of
from rlhf_core.recipe.written.yaml import dump
from rlhf_core.store.run import RunFolder


@dataclass(frozen=True)
class Measure:
    """What is asked of a section: its plain values."""

    section: dict[str, Any]

    def plain(self) -> dict[str, Any]:
        return self.section


def made(folder: Path, name: str, **fields: Any) -> RunFolder:
    """A finished run whose recipe has one stage of these fields."""
    recipe = dump({"name": name, "stages": [{"name": name, **fields}]})
    start = fields.get("from", "base")
    run = RunFolder.create(folder / name, info={"fingerprint": f"mark of {name}", "from": start}, recipe=recipe)
    run.finish(lambda model: (model / "config.json").write_text("{}"))
    return run


@pytest.fixture
def scorer(tmp_path: Path) -> RunFolder:
    return made(tmp_path, "scorer", algo="reward")


def told(run: RunFolder, folder: Path, section: dict[str, Any], **runs: str) -> list[str]:
    return warnings_of([run], {"m": Measure(section)}, runs, folder)  # type: ignore[dict-item]


def test_a_reward_model_that_trained_the_run_is_named_by_whatever_name_it_goes(
    tmp_path: Path, scorer: RunFolder
) -> None:
    run = made(tmp_path, "ppo", algo="ppo", reward={"reward": "any", "run": str(scorer.path)})
    for place in (str(scorer.path), str(scorer.model), "scorer", "stage:s"):
        (line,) = told(run, tmp_path, {"evaluator": "any-other", "run": place}, s=str(scorer.path))
        assert line.startswith("m: ppo was trained on the scores of ")
    other = made(tmp_path, "other", algo="reward")
    assert told(run, tmp_path, {"evaluator": "any-other", "run": str(other.path)}) == []


def test_a_reward_inside_a_weighted_sum_counts_and_so_does_what_the_run_grew_on(
    tmp_path: Path, scorer: RunFolder
) -> None:
    parts = [{"reward": "length", "weight": 1}, {"reward": "any", "run": str(scorer.path), "weight": 2}]
    ppo = made(tmp_path, "ppo", algo="ppo", reward={"reward": "sum", "parts": parts})
    dpo = made(tmp_path, "dpo", algo="dpo", **{"from": str(ppo.path)})
    (line,) = told(dpo, tmp_path, {"judge": "any", "run": str(scorer.path)})
    assert line.startswith("m: dpo grew on ppo, which was trained on the scores of ")
    assert told(made(tmp_path, "sft", algo="sft"), tmp_path, {"judge": "any", "run": str(scorer.path)}) == []


def test_a_judge_that_graded_the_training_is_named_with_what_is_otherwise_now(tmp_path: Path) -> None:
    then = {"judge": "chatty", "model": "small", "max_usd": 1.0}
    run = made(tmp_path, "ppo", algo="ppo", reward={"reward": "judge", "judge": then})
    (same,) = told(run, tmp_path, {"judge": "chatty", "model": "small", "max_usd": 5.0})
    assert "was trained on the grades of judge chatty, so" in same
    (near,) = told(run, tmp_path, {"judge": "chatty", "model": "large"})
    assert "judge chatty (model 'small' then, 'large' now)" in near
    assert told(run, tmp_path, {"judge": "other", "model": "small"}) == []


def test_runs_that_start_from_each_other_or_have_no_recipe_end_the_search(tmp_path: Path) -> None:
    circle = made(tmp_path, "a", algo="ppo", **{"from": str(tmp_path / "a")})
    bare = RunFolder.create(tmp_path / "b", info={"from": "base"})
    assert told(circle, tmp_path, {"judge": "x"}) == told(bare, tmp_path, {"judge": "x"}) == []
