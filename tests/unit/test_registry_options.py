"""Mistakes in options, in a user's words."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field, ValidationError

from rlhf_core.contract.options import Options
from rlhf_core.registry.options import OptionProblem, dotted, option_problems, shown


class Inner(Options):
    rank: int = Field(default=1, gt=0)


class Outer(Options):
    beta: float
    inner: Inner | None = None
    targets: Literal["auto"] | list[str] = "auto"
    parts: tuple[Inner, ...] = ()


def problems(**options: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(options)
    return [problem.line("trainer.") for problem in option_problems(caught.value, Outer, "dpo")]


def test_every_mistake_is_one_line_with_key_value_and_mend() -> None:
    assert problems(betta=0.2, inner={"rnak": 2}) == [
        "trainer.beta: is missing",
        "trainer.inner.rnak = 2: unknown option of dpo's inner; did you mean 'rank'?",
        "trainer.betta = 0.2: unknown option of dpo; did you mean 'beta'?",
    ]


def test_bounds_are_told_with_the_value_that_breaks_them() -> None:
    assert problems(beta=1, inner={"rank": 0}) == ["trainer.inner.rank = 0: must be greater than 0"]


def test_what_should_be_a_section_is_told_with_its_keys_and_a_whole_section_without_its_content() -> None:
    assert problems(beta=1, inner=5) == ["trainer.inner = 5: must be a section: {rank: …}"]
    assert OptionProblem((), "a and b exclude each other", {"a": 1, "b": 2}).line("trainer: ") == (
        "trainer: a and b exclude each other"
    )


def test_alternatives_of_a_union_are_one_line() -> None:
    assert problems(beta=1, targets=5) == ["trainer.targets = 5: must be 'auto', or must be a valid list"]


def test_items_of_a_list_have_their_index() -> None:
    assert problems(beta=1, parts=[{}, {"rank": -1}]) == ["trainer.parts[1].rank = -1: must be greater than 0"]


def test_an_unknown_key_with_nothing_near_gets_the_list() -> None:
    assert problems(beta=1, zzz=1) == ["trainer.zzz = 1: unknown option of dpo; there are beta, inner, parts, targets"]


def test_long_values_are_cut_and_ways_are_dotted() -> None:
    assert len(shown("x" * 500)) == 60
    assert dotted(("parts", 0, "reward", "word")) == "parts[0].reward.word"
