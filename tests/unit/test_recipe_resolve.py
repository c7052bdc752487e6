"""From YAML to validated stages: merging, references, and every mistake at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.contract.errors import MissingComponent, Problems, RLHFError
from rlhf_core.recipe.choosing import Wish, choose
from rlhf_core.recipe.written import yaml
from rlhf_core.recipe.written.locate import recipe_names, recipe_path, resource_path
from rlhf_core.recipe.written.resolve import read, resolve
from rlhf_core.recipe.written.resolved import Recipe
from rlhf_core.recipe.written.settings import with_settings
from rlhf_core.registry.catalog import Catalog

RECIPE = """\
name: test
seed: 3
model:
  backbone: lora-gpt2
  path: base
  lora: {r: 4}
template: {prompt: "{prompt}\\n", completion: "{completion}"}
data:
  sources: [{path: sft.jsonl}]
training: {epochs: 1, batch_size: 8}
stages:
  - algo: sft
    training: {steps: 5}
  - name: rm
    algo: reward
    from: sft
    data: {sources: [{source: puns, view: pairs}]}
  - algo: dpo
    from: sft
    model: {lora: {alpha: 8}}
    trainer: {beta: 0.3}
  - algo: ppo
    from: sft
    seed: 9
    reward: {reward: weighted-sum, parts: [{reward: pun}, {reward: reward-model, run: "stage:rm", weight: 2}]}
evaluate:
  runs: [sft, dpo]
  baseline: sft
  evaluators: [{evaluator: text}, {evaluator: reward-model, run: "stage:rm"}]
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load(third_party=False)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "test.yaml"
    path.write_text(RECIPE)
    return path


def resolved(path: Path, catalog: Catalog, *settings: str, stage: str | None = None) -> Recipe:
    return resolve(with_settings(read([str(path)]), settings, stage=stage), catalog)


def test_shared_sections_lie_under_each_stage_key_by_key(recipe: Path, catalog: Catalog) -> None:
    found = resolved(recipe, catalog)
    assert [stage.name for stage in found.stages] == ["sft", "rm", "dpo", "ppo"]
    dpo = found.stage("dpo").plain()
    assert dpo["model"]["lora"] == {"r": 4, "alpha": 8.0, "dropout": 0.0, "targets": "auto"}
    assert (dpo["training"]["epochs"], dpo["training"]["steps"], dpo["training"]["batch_size"]) == (1.0, None, 8)
    sft = found.stage("sft").plain()
    assert (sft["training"]["epochs"], sft["training"]["steps"]) == (None, 5)
    assert [stage.options.seed for stage in found.stages] == [3, 3, 3, 9]


def test_data_files_are_relative_to_the_recipe(recipe: Path, catalog: Catalog) -> None:
    source = resolved(recipe, catalog).stage("sft").options.data.sources[0]
    assert source.path == str(recipe.parent / "sft.jsonl")


def test_every_default_is_filled_in_and_reads_back_the_same(recipe: Path, catalog: Catalog, tmp_path: Path) -> None:
    stage = resolved(recipe, catalog).stage("ppo")
    plain = stage.plain()
    assert plain["trainer"]["clip_range"] == 0.2
    assert plain["data"]["turns"] == "last"
    (tmp_path / "runs-sft").mkdir()
    runs = {"sft": str(tmp_path / "runs-sft"), "rm": "runs/rm"}
    dumped = tmp_path / "again.yaml"
    dumped.write_text(yaml.dump({"name": "again", "stages": [stage.plain(runs)]}))
    again = resolve(read([str(dumped)]), catalog).stages[0]
    assert again.plain() == stage.plain(runs)
    assert again.plain()["reward"]["parts"][1]["run"] == "runs/rm"
    assert again.plain()["from"] == runs["sft"]


def test_a_stage_needs_what_it_starts_from_and_what_its_reward_leans_on(recipe: Path, catalog: Catalog) -> None:
    found = resolved(recipe, catalog)
    assert [stage.needs for stage in found.stages] == [(), ("sft",), ("sft",), ("sft", "rm")]
    only = resolve(read([str(recipe)]), catalog, stages=["dpo"], evaluate=False)
    assert [stage.name for stage in only.stages] == ["sft", "dpo"]


def test_all_mistakes_are_told_at_once_each_with_its_place(recipe: Path, catalog: Catalog) -> None:
    text = (
        RECIPE.replace("beta: 0.3", "betta: 0.3")
        .replace("steps: 5", "steps: many")
        .replace("lora: {r: 4}", "lora: {r: 0}")
        .replace("view: pairs", "veiw: pairs")
        .replace("{reward: pun}", "{reward: pnu}")
        .replace("baseline: sft", "basline: sft")
    )
    recipe.write_text(text)
    with pytest.raises(Problems) as caught:
        resolved(recipe, catalog)
    told = "\n".join(caught.value.problems)
    for line in (
        "test.yaml:13:16: stages[0].training.steps = 'many': must be a valid integer",
        "test.yaml:21:15: trainer.betta = 0.3: unknown option of dpo; did you mean 'beta'?",
        "test.yaml:6:10: model.lora.r = 0: must be greater than 0",
        "test.yaml:17:37: data.sources[0].veiw = 'pairs': unknown option of puns; did you mean 'view'?",
        "test.yaml:25:45: no reward 'pnu'; did you mean 'pun'?",
        "test.yaml:28:3: evaluate.basline = 'sft': unknown option of the recipe's evaluate; did you mean 'baseline'?",
    ):
        assert line in told
    assert caught.value.exit_code == 2


def test_options_inside_a_sum_of_rewards_are_checked_with_their_place(recipe: Path, catalog: Catalog) -> None:
    recipe.write_text(RECIPE.replace("weight: 2", "outptu: logit"))
    with pytest.raises(
        Problems, match=r"test.yaml:25:99: reward.parts\[1\].outptu = 'logit': unknown option of reward"
    ):
        resolved(recipe, catalog)


def test_when_only_components_are_missing_the_exit_code_says_so(recipe: Path, catalog: Catalog) -> None:
    recipe.write_text(RECIPE.replace("algo: dpo", "algo: grpo").replace("runs: [sft, dpo]", "runs: [sft]"))
    with pytest.raises(MissingComponent, match=r"test\.yaml:18:5: no trainer 'grpo'") as caught:
        resolve(read([str(recipe)]), catalog, stages=["grpo"])
    assert caught.value.exit_code == 3
    assert resolve(read([str(recipe)]), catalog, stages=["sft"], evaluate=False).stages[0].name == "sft"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("from: sft\n    model", "from: sfd\n    model", "test.yaml:19:5: from: 'sfd' is no earlier stage"),
        ("name: rm", "name: sft", "two stages are called so"),
        ('run: "stage:rm", weight', 'run: "stage:mr", weight', "reward: 'mr' is no earlier stage"),
        ("runs: [sft, dpo]", "runs: [sft, dop]", "evaluate.runs: 'dop' is no earlier stage"),
        ("  sources: [{path: sft.jsonl}]", "  sources: []", "data.sources = []"),
        ("reward: weighted-sum", "rewrad: weighted-sum", "reward.reward is missing, such as {reward:"),
    ],
)  # fmt: skip
def test_references_and_sections_that_lead_nowhere(
    recipe: Path, catalog: Catalog, old: str, new: str, message: str
) -> None:
    assert old in RECIPE
    recipe.write_text(RECIPE.replace(old, new))
    with pytest.raises(RLHFError) as caught:
        resolved(recipe, catalog)
    assert message in str(caught.value)


def test_settings_reach_the_chosen_stage_and_the_whole_recipe(recipe: Path, catalog: Catalog) -> None:
    found = resolved(recipe, catalog, "trainer.beta=0.7", "stages.sft.training.steps=2", "data.limit=5", stage="dpo")
    assert found.stage("dpo").options.trainer["beta"] == 0.7
    assert found.stage("sft").options.training.steps == 2
    assert [stage.options.data.limit for stage in found.stages] == [None, None, 5, None]
    whole = resolved(recipe, catalog, "training.steps=1", "evaluate.evaluators.1.run=stage:sft")
    assert whole.stage("dpo").options.training.steps == 1
    assert whole.evaluate is not None
    assert whole.evaluate.options.evaluators[1]["run"] == "stage:sft"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("trainer.bta=1", "--set trainer.bta = 1: unknown option of dpo; did you mean 'beta'?"),
        ("trainer.beta=abc", "--set trainer.beta = 'abc': must be a valid number"),
        ("stages.ddp.x=1", "--set stages.ddp.x: the recipe has no stage 'ddp'; did you mean 'dpo'?"),
        ("trainer.beta", "--set trainer.beta: write KEY=VALUE"),
        ("trainer.beta.x=1", "--set trainer.beta.x: 'x' is not a key of 0.3, which is a plain value"),
        ("data.sources.4.path=x", "4 is not one of the 1 items"),
        ("training.steps=[1", "--set training.steps:1:3: not valid YAML"),
    ],
)
def test_a_wrong_setting_is_told_by_the_flag(recipe: Path, catalog: Catalog, setting: str, message: str) -> None:
    settings = [setting, "data.sources=[{path: a.jsonl}]"] if "sources" in setting else [setting]
    with pytest.raises(RLHFError) as caught:
        resolved(recipe, catalog, *reversed(settings), stage="dpo")
    assert message in str(caught.value)


def test_recipes_over_each_other(recipe: Path, catalog: Catalog, tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("training: {batch_size: 2}\nname: mine\n")
    found = resolve(read([str(recipe), str(over)]), catalog)
    assert found.name == "mine"
    assert found.stage("dpo").options.training.batch_size == 2


def test_a_recipe_by_a_wrong_name_gets_a_near_one() -> None:
    with pytest.raises(RLHFError, match=r"no recipe 'quickstrat'; did you mean 'quickstart'\?"):
        recipe_path("quickstrat")
    with pytest.raises(RLHFError, match="no such file"):
        recipe_path("nowhere/x.yaml")
    with pytest.raises(RLHFError, match="res:nothing: nothing of that name is embedded; there are res:"):
        resource_path("res:nothing")


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_comes_with_the_package_resolves(name: str, catalog: Catalog) -> None:
    assert resolve(read([name]), catalog).stages


# --- what `rlhf train` makes of its flags


def chosen(recipe: Path, catalog: Catalog, **wish: object):
    return choose(Wish(configs=(str(recipe),), **wish), catalog)


def test_an_algo_names_the_stage_and_keeps_what_it_needs(recipe: Path, catalog: Catalog) -> None:
    choice = chosen(recipe, catalog, algo="ppo")
    assert [stage.name for stage in choice.recipe.stages] == ["sft", "rm", "ppo"]
    assert choice.told == ()


def test_ones_own_data_starts_from_the_base_and_says_so(recipe: Path, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text("{}\n")
    choice = chosen(recipe, catalog, algo="dpo", data=str(tmp_path / "own.jsonl"))
    stage = choice.recipe.stage("dpo")
    assert [one.name for one in choice.recipe.stages] == ["dpo"]
    assert stage.options.from_ == "base"
    assert [source.path for source in stage.options.data.sources] == [str(tmp_path / "own.jsonl")]
    assert choice.told == ("dpo: starts from the base and not from sft, since --data is given; --from says otherwise",)
    assert choice.recipe.measured is not None
    assert choice.recipe.measured.data is None


def test_from_overrides_that(recipe: Path, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text("{}\n")
    choice = chosen(recipe, catalog, algo="dpo", data=str(tmp_path / "own.jsonl"), start="sft")
    assert choice.recipe.stage("dpo").needs == ("sft",)


@pytest.mark.parametrize(
    ("reward", "section"),
    [
        ("pun", {"reward": "pun"}),
        ("my.module:score", {"reward": "python", "function": "my.module:score"}),
        ("rewards/mine.py:score", {"reward": "python", "function": "rewards/mine.py:score"}),
        ({"reward": "pun", "word": 5.0}, {"reward": "pun", "word": 5.0}),
        (len, {"reward": "python"}),
    ],
)
def test_another_reward_drops_the_stage_it_leant_on(recipe: Path, catalog: Catalog, reward, section) -> None:
    stage = chosen(recipe, catalog, algo="ppo", reward=reward).recipe.stage("ppo")
    assert stage.needs == ("sft",)
    assert stage.options.reward is not None
    assert section.items() <= stage.options.reward.items()


def test_an_algo_without_a_stage_is_a_fresh_one(recipe: Path, catalog: Catalog) -> None:
    choice = chosen(recipe, catalog, algo="pretrain", training={"steps": 7})
    stage = choice.recipe.stage("pretrain")
    assert (stage.options.from_, stage.options.training.steps, stage.options.model.path) == ("base", 7, "base")
    assert "has no stage of pretrain" in choice.told[0]


def test_an_algo_of_two_stages_asks_which(recipe: Path, catalog: Catalog) -> None:
    recipe.write_text(RECIPE.replace("algo: dpo", "algo: sft\n    name: second").replace("trainer: {beta: 0.3}", "")
                      .replace("runs: [sft, dpo]", "runs: [sft]"))  # fmt: skip
    with pytest.raises(RLHFError, match="has 2 such stages; say --stage sft or --stage second"):
        chosen(recipe, catalog, algo="sft")
    assert chosen(recipe, catalog, algo="sft", stage="second").name == "second"
    with pytest.raises(RLHFError, match="its algo is sft, not dpo"):
        chosen(recipe, catalog, algo="dpo", stage="second")


def test_data_that_is_nowhere_is_told(recipe: Path, catalog: Catalog) -> None:
    with pytest.raises(RLHFError, match=r"--data gone\.jsonl: no such file in"):
        chosen(recipe, catalog, algo="dpo", data="gone.jsonl")


def test_the_schema_knows_every_component_and_is_valid_json_schema(catalog: Catalog) -> None:
    import json

    from rlhf_core.recipe.written.jsonschema import recipe_schema

    schema = json.loads(json.dumps(recipe_schema(catalog)))
    titles = {option["title"] for option in schema["$defs"]["reward"]["anyOf"]}
    assert {"reward:pun", "reward:reward-model", "reward:weighted-sum"} <= titles
    trainers = {rule["if"]["properties"]["algo"]["const"] for rule in schema["$defs"]["StageOptions"]["allOf"]}
    assert {"sft", "dpo", "ppo", "reward", "pretrain"} == trainers
    references = set(_references(schema))
    assert all(reference.removeprefix("#/$defs/") in schema["$defs"] for reference in references)


def _references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)
