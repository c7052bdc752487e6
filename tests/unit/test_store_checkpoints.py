"""Checkpoints and rows: bit for bit, and without running anybody's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.rows import PairRow, Rollout, Row
from rlhf_core.store.checkpoints import Checkpoint, Checkpoints
from rlhf_core.store.rows import load_rows, save_rows


@dataclass(frozen=True, eq=False, kw_only=True)
class Rich(Rollout):
    scores: Tensor
    name: str
    ratio: float
    parent: str | None
    groups: tuple[Tensor, ...]


def rich() -> Rich:
    whole = torch.arange(6, dtype=torch.float32).view(2, 3)
    return Rich(
        record_id="a:1", prompt=(1, 2), completions=((3, 4), (5,)), finished=(True, False),
        logprobs=(torch.tensor([-0.1, -0.2]), torch.rand(1)), scores=whole[:, 1], name="ä\nb", ratio=0.1 + 0.2,
        parent=None, groups=(whole[0], torch.tensor(3, dtype=torch.int64), torch.zeros(0, dtype=torch.bfloat16)),
    )  # fmt: skip


def checkpoint(step: int, within: int = 0, **changes: Any) -> Checkpoint:
    weights = {"w": torch.full((2,), step + within / 10)}
    return Checkpoint(step=step, within=within, weights=weights, progress={"step": step}, **changes)


def test_rows_of_any_class_come_back_bit_for_bit(tmp_path):
    saved = rich()
    save_rows(tmp_path, [saved, saved])
    first, second = load_rows(tmp_path, Rich)
    for loaded in (first, second):
        assert (loaded.prompt, loaded.completions, loaded.finished) == ((1, 2), ((3, 4), (5,)), (True, False))
        assert loaded.finished[0] is True
        assert (loaded.name, loaded.ratio, loaded.parent) == ("ä\nb", 0.30000000000000004, None)
        assert torch.equal(loaded.scores, torch.tensor([1.0, 4.0]))
        assert torch.equal(loaded.logprobs[1], saved.logprobs[1])
        assert [tensor.dtype for tensor in loaded.groups] == [torch.float32, torch.int64, torch.bfloat16]


def test_rows_that_hold_objects_are_refused_by_field(tmp_path):
    row = PairRow(record_id="a", prompt=(1,), completions=((2,), (3,)), margin={"big": 1})
    with pytest.raises(TypeError, match=r"PairRow\.margin holds a dict"):
        save_rows(tmp_path, [row])


def test_rows_of_another_class_are_refused(tmp_path):
    save_rows(tmp_path, [Row(record_id="a", prompt=(1,))])
    with pytest.raises(RLHFError, match=r"record_id, but PairRow has completions, margin"):
        load_rows(tmp_path, PairRow)


def test_the_newest_checkpoint_comes_back_whole(tmp_path):
    store = Checkpoints(tmp_path / "checkpoints")
    assert store.load(Row) is None
    state = {"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "betas": (0.9, 0.99)}, "none": None}
    store.save(checkpoint(3, identity={"seed": 1}, state=state, rows=[rich()]), keep=2)
    loaded = store.load(Rich)
    assert (loaded.step, loaded.within, loaded.progress, loaded.identity) == (3, 0, {"step": 3}, {"seed": 1})
    assert torch.equal(loaded.weights["w"], torch.tensor([3.0, 3.0]))
    assert loaded.state["optimizer"]["betas"] == (0.9, 0.99)
    assert torch.equal(loaded.state["optimizer"]["state"][0]["exp_avg"], torch.ones(2))
    assert loaded.rows[0].record_id == "a:1"


def test_checkpoints_sort_by_age_also_within_a_batch_and_old_ones_go(tmp_path):
    store = Checkpoints(tmp_path)
    for step, within in ((9, 0), (99, 0), (99, 3), (100, 0)):
        store.save(checkpoint(step, within), keep=3)
    assert [path.name for path in store.paths()] == ["step-00000099", "step-00000099.0003", "step-00000100"]
    assert float(store.load(Row).weights["w"][0]) == 100.0


def test_a_save_that_fails_leaves_the_checkpoint_before_it(tmp_path):
    store = Checkpoints(tmp_path)
    store.save(checkpoint(1), keep=1)
    bad = PairRow(record_id="a", prompt=(1,), margin=object())
    with pytest.raises(TypeError, match="margin"):
        store.save(checkpoint(2, rows=[bad]), keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_a_state_that_needs_code_is_refused_by_name(tmp_path):
    with pytest.raises(TypeError, match=r"state\.trainer\.history\[1\] is a Rich: checkpoints hold"):
        Checkpoints(tmp_path).save(checkpoint(1, state={"trainer": {"history": [1, rich()]}}), keep=1)


class Mischief:
    ran = False

    def __reduce__(self):
        return (setattr, (Mischief, "ran", True))


def test_a_foreign_checkpoint_runs_no_code(tmp_path):
    store = Checkpoints(tmp_path)
    path = store.save(checkpoint(1), keep=1)
    torch.save({"x": Mischief()}, path / "state.pt")
    with pytest.raises(RLHFError, match="cannot be read"):
        store.load(Row)
    assert Mischief.ran is False


def test_a_broken_checkpoint_is_named_with_the_way_on(tmp_path):
    store = Checkpoints(tmp_path)
    path = store.save(checkpoint(1), keep=1)
    (path / "weights.safetensors").write_bytes(b"")
    with pytest.raises(RLHFError, match=r"step-00000001: cannot be read .* delete it to go on from the one before"):
        store.load(Row)
