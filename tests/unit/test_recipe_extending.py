"""A recipe laid over another: what is said above wins, what is not said stays, and places are those of the writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.contract.errors import Problems, RLHFError
from rlhf_core.recipe.written.jsonschema import recipe_schema
from rlhf_core.recipe.written.resolve import read, resolve
from rlhf_core.recipe.written.resolved import Recipe
from rlhf_core.registry.catalog import Catalog

FULL = """\
name: full
model: {backbone: lora-gpt2, path: base, lora: {r: 32}}
data: {sources: [{path: rows.jsonl}]}
training: {epochs: 2, batch_size: 16}
stages:
  - algo: sft
    training: {learning_rate: 1.0e-3}
  - algo: dpo
    from: sft
    trainer: {beta: 0.3}
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load(third_party=False)


def write(folder: Path, **recipes: str) -> None:
    for name, text in recipes.items():
        (folder / f"{name}.yaml").write_text(text)


def resolved(path: Path, catalog: Catalog) -> Recipe:
    return resolve(read([str(path)]), catalog)


def test_stages_by_name_change_those_beneath_and_keep_their_order(tmp_path: Path, catalog: Catalog) -> None:
    stages = "stages:\n  dpo: {trainer: {label_smoothing: 0.1}}\n  sft: {training: {steps: 4}}\n"
    small = "extends: full.yaml\nname: small\n" + stages
    write(tmp_path, full=FULL, small=small)
    found = resolved(tmp_path / "small.yaml", catalog)
    assert (found.name, [stage.name for stage in found.stages]) == ("small", ["sft", "dpo"])
    sft, dpo = (stage.plain() for stage in found.stages)
    assert (sft["training"]["steps"], sft["training"]["epochs"]) == (4, None)
    assert sft["training"]["learning_rate"] == 1e-3
    assert (dpo["trainer"]["beta"], dpo["trainer"]["label_smoothing"], dpo["from"]) == (0.3, 0.1, "sft")
    assert dpo["training"]["epochs"] == 2


def test_shared_sections_of_the_upper_recipe_reach_every_stage(tmp_path: Path, catalog: Catalog) -> None:
    write(
        tmp_path, full=FULL, small="extends: full.yaml\nname: small\nmodel: {lora: {r: 2}}\ntraining: {batch_size: 4}\n"
    )
    for stage in resolved(tmp_path / "small.yaml", catalog).stages:
        assert (stage.plain()["model"]["lora"]["r"], stage.options.training.batch_size) == (2, 4)


def test_a_chain_of_three_over_folders_and_an_installed_recipe(tmp_path: Path, catalog: Catalog) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path, mine="extends: quickstart\nname: mine\nseed: 5\nstages: {ppo: {training: {steps: 3}}}\n")
    write(tmp_path / "inner", top="extends: ../mine.yaml\nname: top\nstages: {ppo: {seed: 6}}\n")
    found = resolved(tmp_path / "inner" / "top.yaml", catalog)
    assert [stage.options.seed for stage in found.stages] == [5, 5, 5, 6]
    assert found.stage("ppo").options.training.steps == 3
    assert found.evaluate is not None


def test_paths_start_at_the_file_that_names_them(tmp_path: Path, catalog: Catalog) -> None:
    (tmp_path / "upper").mkdir()
    write(tmp_path, full=FULL)
    write(
        tmp_path / "upper",
        small="extends: ../full.yaml\nname: small\nstages: {dpo: {data: {sources: [{path: own.jsonl}]}}}\n",
    )
    sft, dpo = resolved(tmp_path / "upper" / "small.yaml", catalog).stages
    assert sft.options.data.sources[0].path == str(tmp_path / "rows.jsonl")
    assert dpo.options.data.sources[0].path == str(tmp_path / "upper" / "own.jsonl")


def test_a_mistake_is_told_at_the_file_in_which_it_was_written(tmp_path: Path, catalog: Catalog) -> None:
    write(
        tmp_path,
        full=FULL.replace("beta: 0.3", "betta: 0.3"),
        small="extends: full.yaml\nname: small\nstages:\n  sft: {sede: 4}\n",
    )
    with pytest.raises(Problems) as caught:
        resolved(tmp_path / "small.yaml", catalog)
    lower, upper = caught.value.problems
    assert lower.startswith(f"{tmp_path}/full.yaml:10:15: trainer.betta = 0.3: unknown option of dpo")
    assert upper.startswith(f"{tmp_path}/small.yaml:4:9: stages[0].sede = 4: unknown option")


@pytest.mark.parametrize(
    ("small", "message"),
    [
        ("name: s\nextends: ful\n", "small.yaml:2:1: extends: no recipe 'ful'"),
        ("name: s\nextends: fulll.yaml\n", "extends: recipe fulll.yaml: no such file in "),
        ("name: s\nextends: fulll.yaml\n", "did you mean 'full.yaml'?"),
        ("name: s\nextends: [full.yaml]\n", "must be the name or the file of one recipe"),
        ("extends: full.yaml\n", "small.yaml:1:1: name is missing: a recipe that extends another has its own"),
        ("name: s\nextends: small.yaml\n", "small.yaml:2:1: extends goes in a circle: small.yaml → small.yaml"),
        ("name: s\nextends: full.yaml\nstages: {dop: {}, stf: {}}\n",
         "small.yaml:3:10: no stage 'dop' in the recipe beneath; did you mean 'dpo'?; there are sft, dpo"),
        ("name: s\nextends: full.yaml\nstages: {dop: {}, stf: {}}\n", "no stage 'stf' in the recipe beneath"),
        ("name: s\nstages: {sft: {}}\n", "small.yaml:2:1: stages by name change those of a recipe beneath"),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_told_with_its_place(tmp_path: Path, small: str, message: str) -> None:
    write(tmp_path, full=FULL, small=small)
    with pytest.raises(RLHFError) as caught:
        read([str(tmp_path / "small.yaml")])
    assert message in str(caught.value)


def test_a_circle_over_two_files_is_told_as_the_way_it_goes(tmp_path: Path) -> None:
    write(tmp_path, a="name: a\nextends: b.yaml\n", b="name: b\nextends: a.yaml\n")
    with pytest.raises(RLHFError, match=r"b\.yaml:2:1: extends goes in a circle: a\.yaml → b\.yaml → a\.yaml"):
        read([str(tmp_path / "a.yaml")])


def test_recipes_on_the_command_line_may_change_stages_by_name_too(tmp_path: Path, catalog: Catalog) -> None:
    write(tmp_path, full=FULL, over="stages: {dpo: {trainer: {beta: 0.7}}}\n")
    found = resolve(read([str(tmp_path / "full.yaml"), str(tmp_path / "over.yaml")]), catalog)
    assert [stage.options.trainer.get("beta") for stage in found.stages] == [None, 0.7]


def test_the_schema_wants_a_list_of_stages_only_where_nothing_is_extended(catalog: Catalog) -> None:
    schema = recipe_schema(catalog)
    listed, by_name = schema["properties"]["stages"]["anyOf"]
    assert listed["items"] == {"$ref": "#/$defs/StageOptions"}
    assert by_name["additionalProperties"] == {"$ref": "#/$defs/StageChanges"}
    assert schema["required"] == ["name"]
    assert (schema["if"]["required"], schema["else"]["required"]) == (["extends"], ["stages"])
    assert schema["else"]["properties"]["stages"] == {"type": "array"}
    stage, change = schema["$defs"]["StageOptions"], schema["$defs"]["StageChanges"]
    assert (stage["required"], change["required"]) == (["algo"], [])
    assert change["properties"] == stage["properties"]
    assert schema["properties"]["files"]["additionalProperties"]["anyOf"][0] == {"type": "string"}
