"""Recipes as trees whose every value knows its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.recipe.written import yaml
from rlhf_core.recipe.written.node import Node, merge, node_of


def load(tmp_path: Path, text: str) -> Node:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return yaml.load(path)


def test_every_key_knows_its_line_and_column(tmp_path: Path) -> None:
    recipe = load(tmp_path, "name: x\nstages:\n  - algo: dpo\n    trainer: {beta: 0.1, loss: sigmoid}\n  - sft\n")
    file = tmp_path / "r.yaml"
    assert recipe.get("stages", 0, "trainer", "loss").place == f"{file}:4:26"
    assert recipe.get("stages", 1).place == f"{file}:5:5"
    assert recipe.nearest(("stages", 0, "trainer", "nope")).place == f"{file}:4:5"
    assert recipe.plain()["stages"][0] == {"algo": "dpo", "trainer": {"beta": 0.1, "loss": "sigmoid"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n  b: 2\n", "r.yaml:2:4: not valid YAML"),
        ("a: 1\na: 2\n", "r.yaml:2:1: a: stands here twice; keep one"),
        ("a: [1\nb: 2\n", "r.yaml:2:2: not valid YAML"),
        ("", "r.yaml:1:1: a recipe is a mapping of keys to values; found nothing"),
        ("- 1\n", "found a list"),
    ],
)
def test_what_is_no_recipe_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RLHFError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)


def test_a_recipe_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"name: x\nsummary: caf\xe9\n")
    with pytest.raises(RLHFError, match=r"r.yaml:2: not UTF-8"):
        yaml.load(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("5", 5), ("true", True), ("null", None), ("[a, b]", ["a", "b"]), ("gpt2", "gpt2"), ("", ""),
     ("2024-01-01", "2024-01-01"), ("{a: 1}", {"a": 1})],
)  # fmt: skip
def test_settings_are_read_as_yaml(text: str, value: object) -> None:
    assert yaml.parse_value(text, "--set x") == value


def test_what_is_dumped_is_read_back_the_same(tmp_path: Path) -> None:
    value = {"b": 1, "a": {"lr": 1e-05, "none": None, "t": "{prompt}\n", "list": [1, {"x": True}], "text": "5e-4"}}
    assert load(tmp_path, yaml.dump(value)).plain() == value
    assert list(load(tmp_path, yaml.dump(value)).value) == ["b", "a"]


def merged(base: object, over: object) -> object:
    both = merge(node_of(base, "base"), node_of(over, "over"))
    assert both is not None
    return both.plain()


def test_mappings_merge_key_by_key_and_lists_are_replaced() -> None:
    assert merged({"a": {"x": 1, "y": 2}, "l": [1, 2]}, {"a": {"y": 3}, "l": [9]}) == {"a": {"x": 1, "y": 3}, "l": [9]}


def test_another_component_does_not_inherit_the_options_of_the_old_one() -> None:
    base = {"model": {"backbone": "lora-gpt2", "path": "p", "lora": {"r": 4}}}
    assert merged(base, {"model": {"backbone": "hf"}}) == {"model": {"path": "p", "backbone": "hf"}}
    assert merged(base, {"model": {"backbone": "lora-gpt2"}}) == base


def test_steps_and_epochs_replace_each_other() -> None:
    assert merged({"epochs": 2, "batch_size": 4}, {"steps": 10}) == {"batch_size": 4, "steps": 10}
    assert merged({"steps": 10, "epochs": None}, {"epochs": 1}) == {"epochs": 1}
    assert merged({"steps": 10}, {"epochs": None}) == {"steps": 10, "epochs": None}
