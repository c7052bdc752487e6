"""What a training step computes, counted: passes, positions and live memory. A guard against doing work twice.

Seconds differ between machines, these numbers do not. benchmarks/performance has the seconds.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from policy_parts import EOS
from ppo_parts import PROMPTS
from ppo_parts import new_trainer as new_ppo
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode
from trainer_parts import context_of, new_policy

from rlhf_core.contract.options import NoOptions
from rlhf_core.contract.rows import PairRow, Row
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.training.batching import count
from rlhf_plugins.dpo.options import DPOOptions
from rlhf_plugins.dpo.trainer import DPO
from rlhf_plugins.reward_model.options import RewardModelOptions
from rlhf_plugins.reward_model.trainer import RewardModel
from rlhf_plugins.sft.trainer import SFT

PAIRS = [
    PairRow(record_id="a", prompt=(5, 6, 7, 8, 9, 10, 11), completions=((10, 11, EOS), (12, 13, 14, 15, EOS))),
    PairRow(record_id="b", prompt=(20,), completions=((21, 22, EOS), (23, EOS))),
    PairRow(record_id="c", prompt=(30, 31), completions=((32, EOS), (33, 34, 35, 36, 37, 38, 39, EOS))),
]
DEMONSTRATIONS = [Row(record_id=row.record_id, prompt=row.prompt, completions=row.completions[:1]) for row in PAIRS]


def tokens(rows: Sequence[Row]) -> int:
    """Each prompt once, no filling."""
    return sum(len(row.prompt) + sum(map(len, row.completions)) for row in rows)


@contextmanager
def passes(policy: TrunkPolicy) -> Iterator[list[int]]:
    """The positions of each pass through the trunk, as its embedding sees them."""
    found: list[int] = []
    network = next(policy.roles.networks())
    hook = network.get_input_embeddings().register_forward_hook(
        lambda _module, inputs, _output: found.append(inputs[0].numel())
    )
    yield found
    hook.remove()


def step(trainer, policy, rows) -> tuple[list[int], list[int]]:
    """Passes of collecting, and of one update with its backward pass."""
    with passes(policy) as found, torch.no_grad():
        collected = trainer.collect(rows, seed=0)
    with passes(policy) as updating:
        trainer.loss(collected, count(collected)).total.backward()
    return found, updating


@pytest.mark.parametrize(
    ("trainer", "rows"),
    [(SFT(NoOptions()), DEMONSTRATIONS), (RewardModel(RewardModelOptions()), PAIRS)],
    ids=["sft", "reward"],
)
def test_an_update_is_one_pass_over_the_rows_own_tokens(trainer, rows):
    policy = new_policy()
    trainer.prepare(context_of(policy))
    collecting, updating = step(trainer, policy, rows)
    assert collecting == []
    assert len(updating) == 1
    assert 0 < updating[0] <= tokens(rows)


def test_dpo_asks_the_reference_once_per_pair_and_shares_the_prompt_in_every_pass():
    policy = new_policy()
    trainer = DPO(DPOOptions())
    trainer.prepare(context_of(policy))
    first, updating = step(trainer, policy, PAIRS)
    again, _ = step(trainer, policy, PAIRS)
    assert [len(first), len(updating), len(again)] == [1, 1, 0]
    assert max(*first, *updating) <= tokens(PAIRS)


def test_ppo_scores_its_rollouts_in_two_passes_and_updates_in_one():
    trainer = new_ppo()
    policy, sample = trainer.policy, trainer.policy.sample
    rollouts = []

    def sample_uncounted(*arguments, **keywords):
        rollouts.extend(sample(*arguments, **keywords))
        found.clear()
        return rollouts

    policy.sample = sample_uncounted
    with passes(policy) as found, torch.no_grad():
        rows = trainer.collect(PROMPTS, seed=0)
    with passes(policy) as updating:
        trainer.loss(rows, count(rows)).total.backward()
    assert len(found) == 2  # one of the policy, one of the reference; the exact KL between them is read off both
    assert len(updating) == 1
    assert max(*found, *updating) <= tokens(rollouts)


def test_a_loss_that_weighs_entropies_with_zero_does_not_pay_for_their_gradient():
    policy = new_policy()
    policy.train_role("policy")

    def operations(weight: float | None) -> int:
        with FlopCounterMode(display=False) as counter:
            scored = policy.score(PAIRS, want={"logprobs", "entropy"})
            loss = scored.logprobs.sum()
            (loss if weight is None else loss - weight * scored.entropy.sum()).backward()
        return int(counter.get_total_flops())

    assert operations(0.0) == operations(None) < operations(0.1)


class LiveMemory(TorchDispatchMode):
    """Bytes of the tensors that are alive at once, at most, of those that operations made meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        tree_map_only(torch.Tensor, self._see, result)
        return result

    def _see(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._alive:
            self._alive[key] = storage.nbytes()
            weakref.finalize(storage, self._alive.pop, key, 0)
            self.peak = max(self.peak, sum(self._alive.values()))


@pytest.mark.parametrize("want", [{"logprobs"}, {"logprobs", "entropy"}], ids=lambda want: " and ".join(sorted(want)))
def test_the_output_layer_never_holds_the_logits_of_all_tokens(want):
    vocabulary, length = 4096, 250
    policy = new_policy(vocab_size=vocabulary, n_embd=8, n_head=1, n_layer=1, n_positions=256)
    policy.train_role("policy")
    peaks = []
    for completions in (5, 20):  # one tile of positions is full in both
        row = Row(record_id="long", prompt=(5,), completions=(tuple(range(length)),) * completions)
        with LiveMemory() as memory:
            scored = policy.score([row], want=want)
            sum(getattr(scored, name).sum() for name in want).backward()
        peaks.append(memory.peak)
    logits_of_one_completion = length * vocabulary * 4
    assert peaks[1] - peaks[0] < logits_of_one_completion
