"""Where a model lies that a recipe names."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.recipe.lending import base_folder
from rlhf_core.store.run import RunFolder


def test_a_run_named_as_base_gives_its_model_as_a_resumed_stage_needs_it(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "pretrain", info={}, recipe="")
    run.finish(lambda folder: (folder / "config.json").write_text("{}"))
    assert base_folder(str(run.path)) == str(run.model)


def test_a_run_without_a_model_is_refused_and_anything_else_stays_as_it_is(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "begun", info={}, recipe="")
    with pytest.raises(RLHFError, match="begun"):
        base_folder(str(run.path))
    assert base_folder(str(tmp_path)) == str(tmp_path)
    assert base_folder("gpt2") == "gpt2"
    assert base_folder("") == ""
