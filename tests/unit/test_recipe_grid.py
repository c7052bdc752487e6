"""A grid over a recipe: its points, what they change, and every mistake before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.recipe.sweeps.grid import Plan, axes_of, plan
from rlhf_core.recipe.written.resolve import read
from rlhf_core.registry.catalog import Catalog

RECIPE = """\
name: small
seed: 5
model: {path: "stage:pretrain", backbone: hf}
data: {sources: [{path: rows.jsonl}]}
training: {steps: 2}
stages:
  - {algo: pretrain, model: {backbone: new-gpt2, path: ""}}
  - {algo: sft}
  - {algo: reward, from: sft}
  - {name: judge, algo: reward, seed: 9}
  - {algo: ppo, from: sft, reward: {reward: reward-model, run: "stage:reward"}}
  - {algo: dpo, from: sft}
evaluate:
  baseline: sft
  runs: [sft, ppo, dpo]
  evaluators: [{evaluator: text}, {evaluator: reward-model, run: "stage:judge"}]
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture
def planned(tmp_path: Path, catalog: Catalog):
    (tmp_path / "small.yaml").write_text(RECIPE)

    def call(*grid: str, seeds: tuple[int, ...] = (0,), stage: str | None = None) -> Plan:
        return plan(read([str(tmp_path / "small.yaml")]), catalog, axes_of(grid), seeds, stage=stage)

    return call


def test_points_are_all_combinations_with_every_seed_the_first_seed_first(planned) -> None:
    found = planned("stages.ppo.trainer.kl_coef=.02,.2", "stages.ppo.training.steps=1,3", seeds=(0, 7))
    assert [point.name for point in found.points] == [
        f"kl_coef={kl},steps={steps},seed={seed}" for seed in (0, 7) for kl in (0.02, 0.2) for steps in (1, 3)
    ]
    options = [point.recipe.stage("ppo").options for point in found.points]
    assert [(o.trainer["kl_coef"], o.training.steps, o.seed) for o in options] == [
        (kl, steps, seed) for seed in (0, 7) for kl in (0.02, 0.2) for steps in (1, 3)
    ]


def test_what_the_grid_does_not_touch_keeps_its_seed_and_is_shared(planned) -> None:
    found = planned("stages.ppo.trainer.kl_coef=.02,.2", seeds=(3,))
    assert (found.swept, found.varied) == (("ppo",), {"ppo"})
    # dpo is neither swept nor needed; the judge is, by the evaluation, and sft as its baseline.
    assert [stage.name for stage in found.points[0].recipe.stages] == ["pretrain", "sft", "reward", "judge", "ppo"]
    assert [stage.options.seed for stage in found.points[0].recipe.stages] == [5, 5, 5, 9, 3]
    assert all(point.recipe.evaluate.options.runs == ("ppo",) for point in found.points)


def test_what_builds_on_a_touched_stage_varies_with_it(planned) -> None:
    assert planned("stages.reward.trainer.centering=0,.1").varied == {"reward", "ppo"}
    assert planned("stages.sft.training.steps=1,3").varied == {"sft", "reward", "ppo", "dpo"}
    # Through model.path, which all stages share.
    assert planned("stages.pretrain.training.steps=1,3").varied == {"pretrain", "sft", "reward", "judge", "ppo", "dpo"}


def test_with_a_stage_bare_keys_are_its_and_the_rest_is_left_out(planned) -> None:
    found = planned("trainer.beta=.1,.5", "stages.sft.training.steps=1,3", stage="dpo")
    assert found.swept == ("dpo",)
    assert [stage.name for stage in found.points[0].recipe.stages] == ["pretrain", "sft", "judge", "dpo"]
    assert [p.recipe.stage("dpo").options.trainer["beta"] for p in found.points] == [0.1, 0.1, 0.5, 0.5]
    assert found.points[0].recipe.evaluate.options.runs == ("dpo",)
    assert planned("trainer.centering=.1", stage="reward").points[0].recipe.evaluate is None  # it writes no text


def test_a_shared_section_touches_every_stage(planned) -> None:
    assert planned("training.steps=1,3").varied == {"pretrain", "sft", "reward", "judge", "ppo", "dpo"}


def test_values_are_items_of_a_yaml_list(planned) -> None:
    assert axes_of(["a=[1,2],[3],null,x y,.5"]) == {"a": [[1, 2], [3], None, "x y", 0.5]}
    found = planned("stages.ppo.reward={reward: python, function: good.py:score},{reward: pun}")
    assert [point.recipe.stage("ppo").reward.name for point in found.points] == ["python", "pun"]
    assert all("/" not in point.name and " " not in point.name for point in found.points)


def test_axes_of_one_name_are_told_apart_by_their_whole_keys(planned) -> None:
    found = planned("stages.sft.training.steps=1", "stages.dpo.training.steps=2")
    assert found.points[0].setting == "stages.sft.training.steps 1, stages.dpo.training.steps 2"


def test_the_mistakes_of_all_points_are_told_at_once_each_once(planned) -> None:
    with pytest.raises(RLHFError) as error:
        planned("stages.ppo.trainer.kl_coef=.02,-1,high", "stages.dpo.trainer.betta=.1", seeds=(0, 1))
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert any("kl_coef = -1" in line and "greater than or equal to 0" in line for line in lines)
    assert any("kl_coef = 'high'" in line for line in lines)
    assert any("betta" in line and "did you mean 'beta'?" in line for line in lines)


@pytest.mark.parametrize(
    ("grid", "seeds", "stage", "told"),
    [
        ([], (0,), None, "the grid is empty: give --grid KEY=V1,V2"),
        (["stages.ppo.trainer.kl_coef=.1"], (), None, "--seeds : give one seed or more"),
        (["stages.ppo.trainer.kl_coef=.1"], (1, 1), None, "--seeds 1,1: give one seed or more, each once"),
        (["stages.ppo.trainer.kl_coef=.1,.1"], (0,), None, "kl_coef=0.1,0.1: a value is there twice"),
        (["stages.pppo.trainer.kl_coef=.1"], (0,), None, "--grid stages.pppo.trainer.kl_coef: the recipe has no stage"),
        (["trainer.beta=.1"], (0,), "dpoo", "--stage: the recipe has no stage 'dpoo'; did you mean 'dpo'?"),
        (["evaluate.seed=1,2"], (0,), None, "--grid evaluate.seed: changes no training"),
    ],
)
def test_what_makes_no_grid_is_refused(planned, grid, seeds, stage, told) -> None:
    with pytest.raises(RLHFError) as error:
        planned(*grid, seeds=seeds, stage=stage)
    assert told in str(error.value)


@pytest.mark.parametrize("text", ["kl_coef", "=1,2", "trainer.beta=", "trainer.beta=[1"])
def test_what_is_no_axis_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(RLHFError, match=r"--grid"):
        axes_of([text])
    with pytest.raises(RLHFError, match="is there twice; put all its values behind one --grid"):
        axes_of(["trainer.beta=1", "trainer.beta=2"])
