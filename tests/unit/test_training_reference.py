"""Reference logprobs: worked out once, found again by what they depend on, and by nothing else."""

from __future__ import annotations

import pytest
import torch
from policy_parts import ROWS, stir, tiny_policy
from trainer_parts import new_policy

from rlhf_core.contract.rows import Row
from rlhf_core.training.reference import ReferenceLogprobs


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RLHF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def passes(policy, monkeypatch):
    """The tokens of every forward pass from now on."""
    seen = []
    score = policy.score
    monkeypatch.setattr(
        policy, "score", lambda rows, *a, **k: seen.append(sum(r.cost for r in rows)) or score(rows, *a, **k)
    )
    return seen


def test_they_are_the_references_own_and_token_by_token():
    policy = tiny_policy()
    policy.train_role("policy")
    scored = policy.score(ROWS, "reference")
    stir(policy)
    found = [tokens for row in ReferenceLogprobs(policy)(ROWS) for tokens in row]
    assert [len(tokens) for tokens in found] == [len(c) for row in ROWS for c in row.completions]
    assert torch.equal(torch.cat(found), scored.logprobs[scored.mask])


def test_a_row_that_comes_again_costs_no_pass_in_this_run_nor_in_the_next(monkeypatch):
    policy = tiny_policy()
    first = passes(policy, monkeypatch)
    ask = ReferenceLogprobs(policy)
    before = ask(ROWS[:2])
    ask(ROWS)
    assert first == [sum(row.cost for row in ROWS[:2]), ROWS[2].cost]

    later = tiny_policy()
    second = passes(later, monkeypatch)
    renamed = [Row(record_id="other", prompt=row.prompt, completions=row.completions) for row in ROWS[1::-1]]
    after = ReferenceLogprobs(later)(renamed)
    assert second == []
    for old, new in zip(before, after[::-1], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(old, new, strict=True))


@pytest.mark.parametrize("change", ["weights", "tokens", "start", "arithmetic"])
def test_what_they_depend_on_is_in_their_name(change, monkeypatch):
    ReferenceLogprobs(tiny_policy())(ROWS[:1])
    rows = ROWS[:1]
    policy = new_policy(seed=1) if change == "weights" else tiny_policy()
    if change == "tokens":
        rows = [Row(record_id=rows[0].record_id, prompt=rows[0].prompt, completions=rows[0].completions[::-1])]
    if change == "start":
        with torch.no_grad():
            policy.roles.model.get_input_embeddings().weight[5] += 1e-3
    seen = passes(policy, monkeypatch)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=change == "arithmetic"):
        ReferenceLogprobs(policy)(rows)
    assert len(seen) == 1


def test_training_the_policy_changes_no_name():
    policy = tiny_policy()
    policy.train_role("policy")
    before = policy.fingerprint("reference")
    stir(policy)
    assert policy.fingerprint("reference") == before != policy.fingerprint("policy")


def test_a_cache_that_cannot_be_written_costs_passes_and_nothing_else(cache, monkeypatch):
    cache.write_text("a file where a folder should be")
    policy = tiny_policy()
    seen = passes(policy, monkeypatch)
    ask = ReferenceLogprobs(policy)
    first, again = ask(ROWS), ask(ROWS)
    assert len(seen) == 1
    assert torch.equal(first[0][0], again[0][0])
    ReferenceLogprobs(policy)(ROWS)
    assert len(seen) == 2
