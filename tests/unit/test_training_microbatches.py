"""How a minibatch is cut where nobody says how: what fits, found without a pass of its own."""

from __future__ import annotations

import pytest
import torch
from policy_parts import ROWS, tiny_policy
from training_parts import BigramPolicy, ToySFT, demonstrations, engine

from rlhf_core.policy.batching import FAST_TOKENS
from rlhf_core.training import microbatches
from rlhf_core.training.memory import counting_kept
from rlhf_core.training.microbatches import SHARE, MicroBatches

FAST = FAST_TOKENS["cpu"]


def test_bytes_are_counted_once_and_weights_not_at_all():
    """x·W keeps x (W needs a gradient) and W (x does); tanh keeps what it gave; the second product the same again."""
    weight = torch.randn(8, 4, requires_grad=True)
    x = torch.randn(16, 8, requires_grad=True)
    with counting_kept([weight]) as kept:
        y = torch.tanh(x @ weight)
        (y * y).sum()
    assert kept.size == 4 * (16 * 8 + 16 * 4)


def scored(policy, micro, rows):
    parts = []
    for part in micro.of(rows):
        with micro.watched(part):
            policy.score(part)
        parts.append(part)
    return parts


@pytest.fixture
def policy():
    policy = tiny_policy()
    policy.train_role("policy")
    return policy


def test_the_longest_row_is_measured_and_every_row_computed_once(policy, monkeypatch):
    monkeypatch.setattr(microbatches, "free_memory", lambda _: 10**12)
    micro = MicroBatches("auto", policy)
    first, second = scored(policy, micro, ROWS)
    assert first == [max(ROWS, key=lambda row: row.cost)]
    assert [row.record_id for row in second] == ["single", "group"]
    assert micro.tokens == FAST, "memory for more is no reason for more"
    assert len(scored(policy, micro, ROWS)) == 1, "known from now on"


def test_tokens_are_as_many_as_memory_holds(policy, monkeypatch):
    monkeypatch.setattr(microbatches, "free_memory", lambda _: 10**12)
    plenty = MicroBatches("auto", policy)
    scored(policy, plenty, ROWS)
    free = 2 * 11.5 * plenty.bytes_per_token
    monkeypatch.setattr(microbatches, "free_memory", lambda _: free)
    little = MicroBatches("auto", policy)
    parts = scored(policy, little, ROWS)
    assert little.tokens == int(SHARE * free / little.bytes_per_token) == 11
    assert [[row.record_id for row in part] for part in parts] == [["pair"], ["single"], ["group"]]


def test_rows_of_like_length_go_together(policy):
    """Of 3, 13 and 9 tokens: as they come each would go alone."""
    rows = [ROWS[1], ROWS[0], ROWS[2]]
    assert [[row.cost for row in part] for part in scored(policy, MicroBatches(13, policy), rows)] == [[3, 9], [13]]


def test_gradient_checkpointing_is_in_the_measure(policy, monkeypatch):
    monkeypatch.setattr(microbatches, "free_memory", lambda _: 10**12)
    usual, less = MicroBatches("auto", policy), MicroBatches("auto", policy)
    scored(policy, usual, ROWS)
    policy.recompute = True
    scored(policy, less, ROWS)
    assert less.bytes_per_token < usual.bytes_per_token / 2


def test_where_the_system_tells_no_memory_the_fast_size_is_taken(policy, monkeypatch):
    monkeypatch.setattr(microbatches, "free_memory", lambda _: None)
    micro = MicroBatches("auto", policy)
    scored(policy, micro, ROWS)
    assert micro.tokens == FAST


def test_a_loss_that_keeps_nothing_fits_at_any_size(policy):
    micro = MicroBatches("auto", policy)
    with micro.watched(ROWS[:1]):
        pass
    assert micro.tokens == FAST


def test_a_number_is_taken_as_it_is(policy):
    micro = MicroBatches(7, policy)
    assert [len(part) for part in scored(policy, micro, ROWS)] == [1, 1, 1]
    assert (micro.tokens, micro.bytes_per_token) == (7, None)


def test_a_training_counts_no_row_twice(tmp_path):
    trainer = ToySFT()
    rows = demonstrations(8)
    built = engine(
        tmp_path / "r", trainer, policy=BigramPolicy(), train=rows, validation=[], steps=1, batch_size=8,
        micro_batch_tokens="auto",
    )  # fmt: skip
    seen = []
    loss = trainer.loss
    trainer.loss = lambda part, totals: seen.append([row.record_id for row in part]) or loss(part, totals)
    built.train()
    assert sorted(name for part in seen for name in part) == sorted(row.record_id for row in rows)
    assert [len(part) for part in seen] == [1, 7]
