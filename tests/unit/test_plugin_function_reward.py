"""A Python function as a reward: how it is found, how it is called, and what it may not answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from evaluation_standins import build, lend
from pydantic import ValidationError

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.reward import Completion

COMPLETIONS = [Completion(prompt="p", text="ab", record={"w": 2}), Completion(prompt="q", text="abcd", record={"w": 3})]


def length(prompt: str, completion: str) -> float:
    return len(prompt) + len(completion)


def weights(completions: Sequence[Completion]) -> list[float]:
    return [float(str(c.record["w"])) for c in completions]


def prepared(function: Any, folder: str = ".", **options: Any) -> Any:
    reward = build("function_reward", "reward", "python", function=function, **options)
    reward.prepare(lend(folder=folder))
    return reward


def scores(function: Any, **options: Any) -> list[float]:
    return list(prepared(function, **options).score(COMPLETIONS).total)


def test_two_parameters_take_prompt_and_completion_one_takes_all() -> None:
    assert scores(length) == [3.0, 5.0]
    assert scores(weights) == [2.0, 3.0]


def test_defaults_do_not_count_as_parameters_and_takes_overrides() -> None:
    assert scores(lambda _, completion, scale=2.0: scale * len(completion)) == [4.0, 8.0]
    assert scores(lambda *texts: len(texts[1]), takes="text") == [2.0, 4.0]


def test_tensors_and_booleans_are_numbers() -> None:
    assert scores(lambda _: torch.tensor([0.5, 1.5])) == [0.5, 1.5]
    assert scores(lambda _, completion: len(completion) > 2) == [0.0, 1.0]


def test_a_file_beside_the_recipe_is_found_with_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "neighbour_of_reward.py").write_text("FACTOR = 3\n")
    (tmp_path / "my_reward.py").write_text(
        "def score(prompt, completion):\n"
        "    from neighbour_of_reward import FACTOR\n"
        "    return FACTOR * len(completion)\n"
    )
    assert list(prepared("my_reward.py:score", str(tmp_path)).score(COMPLETIONS).total) == [6.0, 12.0]
    assert list(prepared("my_reward:score", str(tmp_path)).score(COMPLETIONS).total) == [6.0, 12.0]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere.py:score", "there is no file"),
        ("no_such_module_here:score", "no module 'no_such_module_here'.*my_reward.py:function"),
        ("broken.py:score", "broken.py fails to import: ZeroDivisionError"),
        ("good.py:scroe", "'scroe' is not there; there are score"),
        ("good.py:number", "'number' is not a function; there are score"),
        ("needs.py:score", "needs.py fails to import: ModuleNotFoundError: No module named 'not_installed_x'"),
    ],
)
def test_what_cannot_be_loaded_is_named_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "needs.py").write_text("import not_installed_x\n")
    (tmp_path / "good.py").write_text("number = 3\ndef score(prompt, completion): return 1\n")
    with pytest.raises(RLHFError, match=said):
        prepared(path, str(tmp_path))


def test_a_signature_that_fits_neither_way_is_refused() -> None:
    with pytest.raises(RLHFError, match=r"expected score\(prompt: str, completion: str\).*it takes \(_a, _b, _c\)"):
        prepared(lambda _a, _b, _c: 0.0)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda _: [1.0], "a list of 2 numbers, one per completion; it returned 1 answers"),
        (lambda _: 1.0, "it returned float"),
        (lambda _, __: None, "expected a finite number, it returned None for 'p' -> 'ab'"),
        (lambda _, __: float("nan"), "it returned nan"),
        (lambda _, __: "7", "it returned '7'"),
    ],
)
def test_wrong_answers_are_named(function: Any, said: str) -> None:
    with pytest.raises(RLHFError, match=said):
        scores(function)


def test_an_error_inside_names_its_line_and_the_completion() -> None:
    def fails(_: str, completion: str) -> float:
        return 1 / (len(completion) - 4)

    line = fails.__code__.co_firstlineno + 1
    with pytest.raises(
        RLHFError, match=rf"ZeroDivisionError.*test_plugin_function_reward.py:{line}\) on 'q' -> 'abcd'"
    ):
        scores(fails)


def test_options_take_a_path_or_a_function_and_are_saved_as_a_path() -> None:
    options = build("function_reward", "reward", "python", function=length).options
    assert options.model_dump(mode="json") == {"function": f"{__name__}:length", "takes": "auto"}
    schema = type(options).model_json_schema()
    assert schema["properties"]["function"]["type"] == "string"
    with pytest.raises(ValidationError, match="module:function"):
        type(options)(function="my_reward")
