"""A model that scores and was trained on the very prompts is named with how many it knows; any other is not."""

from __future__ import annotations

from pathlib import Path

from rlhf_core.contract.records import Labelled, Message, Preference, PromptRecord
from rlhf_core.recipe.measuring.familiarity import familiar, prompt_marks
from rlhf_core.store.run import RunFolder


def trained_on(folder: Path, name: str, *prompts: str) -> RunFolder:
    run = RunFolder.create(folder / name)
    run.finish(lambda model: (model / "config.json").write_text("{}"))
    pairs = [Preference(id=f"{name}:{i}", prompt=one, chosen="a", rejected="b") for i, one in enumerate(prompts)]
    run.keep_prompts(prompt_marks(pairs))
    return run


def asked(*prompts: str) -> frozenset[str]:
    return prompt_marks([PromptRecord(id=f"other:{i}", prompt=prompt) for i, prompt in enumerate(prompts)])


def test_a_reward_model_that_knows_the_prompts_is_named_with_how_many(tmp_path: Path) -> None:
    scorer = trained_on(tmp_path, "scorer", "a pun about pianos", "a pun about tea")
    trained_on(tmp_path, "stranger", "a pun about ink")
    prompts = {
        "training prompts": asked("a pun\nabout  tea", "a pun about fish"),
        "held-out ones": asked("a pun about sand"),
    }
    section = {
        "reward": "sum",
        "parts": [{"reward": "any", "run": str(scorer.path)}, {"reward": "any", "run": "stranger"}],
    }
    assert list(familiar(section, tmp_path, prompts)) == [
        (str(scorer.path), "1 of 2 training prompts and 0 of 1 held-out ones")
    ]  # fmt: skip
    assert list(familiar(section, tmp_path, {"prompts": asked("a pun about fish")})) == []
    assert list(familiar({"reward": "any", "run": "stranger"}, tmp_path, prompts)) == []


def test_prompts_are_told_apart_by_what_they_say_and_one_that_says_nothing_is_none() -> None:
    chat = (Message("user", "a pun about tea"),)
    assert prompt_marks([PromptRecord(id="chat", prompt=chat)]) == asked("a pun about tea")
    assert (
        prompt_marks([PromptRecord(id="x", prompt="\n"), Labelled(id="y", text="a pun", label="happy")]) == frozenset()
    )


def test_a_run_from_before_prompts_were_kept_says_nothing(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "old")
    run.finish(lambda model: (model / "config.json").write_text("{}"))
    assert run.prompts() == frozenset()
    assert list(familiar({"reward": "any", "run": str(run.path)}, tmp_path, {"prompts": asked("a")})) == []
