"""A trainer in the engine: cut in the middle and resumed, it must reach the very weights of the uncut run."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import Record
from rlhf_core.contract.reward import RewardSource
from rlhf_core.contract.trainer import Trainer
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.store.checkpoints import Checkpoints
from rlhf_core.store.run import RunFolder
from rlhf_core.training.engine import Engine
from rlhf_core.training.options import TrainingOptions

from .expecting import expecting
from .policy import tiny_policy
from .samples import LABELS

OPTIONS: Final = TrainingOptions(
    steps=3, batch_size=2, learning_rate=1e-2, micro_batch_tokens=80, save_every=1, eval_every=2, keep_checkpoints=9,
    sample_prompts=1, precision="float32", device="cpu",
)  # fmt: skip


def check_resume(
    name: str, trainer: Trainer[Any], records: Sequence[Record], reward: RewardSource, sampling: SamplingSpec
) -> None:
    """Trains three batches twice: in one go, and resumed from the checkpoint after the first.

    Raises: AssertionError when the weights differ, or are those of the start.
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "run"
        whole = _engine(copy.deepcopy(trainer), records, reward, sampling, RunFolder.create(place))
        start = {label: value.clone() for label, value in whole.policy.state().items()}
        with expecting(f"{name}: training three batches"):
            whole.train()
        assert any(not torch.equal(start[label], value) for label, value in whole.policy.state().items()), (
            f"{name}: three batches of training moved no weight"
        )
        for later in _later_checkpoints(place):
            shutil.rmtree(later)
        rest = _engine(copy.deepcopy(trainer), records, reward, sampling, RunFolder.open(place))
        with expecting(f"{name}: going on from a checkpoint"):
            rest.train(resume=True)
        for label, value in whole.policy.state().items():
            assert torch.equal(rest.policy.state()[label], value), (
                f"{name}: cut after one batch and resumed, {label} ends elsewhere than without the cut: keep in "
                "state_dict() what loss() and collect() depend on, and in rows what collect() found"
            )


def _later_checkpoints(place: Path) -> list[Path]:
    """All but the first that holds a step taken."""
    paths = Checkpoints(place / "checkpoints").paths()
    steps = sorted({path.name for path in paths})
    return [path for path in paths if path.name > steps[min(1, len(steps) - 1)]]


def _engine(
    trainer: Trainer[Any], records: Sequence[Record], reward: RewardSource, sampling: SamplingSpec, run: RunFolder
) -> Engine:
    policy: TrunkPolicy = tiny_policy()
    rows = [policy.codec.encode(record) for record in records]
    return Engine(
        policy, trainer, rows, rows[:2], {record.id: record for record in records}, OPTIONS,
        sampling=sampling, run=run, reward=reward, labels=LABELS,
    )  # fmt: skip
