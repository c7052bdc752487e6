"""What is said of a run from its files alone: alarms made anew, text measured afterwards, odd KLs explained."""

from __future__ import annotations

import dataclasses

from rlhf_core.recipe.doctor.diagnosis import diagnose, with_text
from rlhf_core.recipe.doctor.oddkl import odd_kl
from rlhf_core.recipe.written import yaml
from rlhf_core.store.run import RunFolder
from rlhf_core.training.health.history import Facts, History

FACTS = Facts(
    rows=100, epochs=1.0, steps=4, held_out=50, shows_answers=False, answers_end=True, max_grad_norm=1.0,
    adam_epsilon=1e-8, max_new_tokens=8,
)  # fmt: skip


def kl(*values, error=None, k3=0.4):
    told = {} if error is None else {"kl_k1_se": error}
    rows = [
        {"step": step, "split": "validation", "kl_k1": value, "kl_k3": k3 if step else 0.0, **told}
        for step, value in enumerate(values)
    ]
    return History(rows, FACTS)


def test_a_kl_that_is_never_negative_needs_no_explanation():
    assert odd_kl(kl(0.0, 0.3, 0.8), {"sampling": {"top_k": 5}}) == []
    assert odd_kl(History([], dataclasses.replace(FACTS)), {}) == []


def test_a_negative_mean_within_its_noise_is_laid_to_few_samples():
    first, cause = odd_kl(kl(0.0, -0.3, 0.8, error=0.2), {})
    assert "kl_k1 is -0.3 at step 1" in first
    assert cause.startswith("few samples: this mean is 1.5 standard errors below 0")
    assert "kl_k3, which is never negative, is 0.4" in cause


def test_a_negative_mean_beyond_its_noise_is_not():
    assert odd_kl(kl(0.0, -3.8, error=0.2), {})[1].startswith("not few samples alone: this mean is 19 standard errors")


def test_recorded_options_under_which_draws_and_scores_differ_are_named():
    stage = {
        "sampling": {"top_k": 50, "temperature": 0.7},
        "training": {"precision": "bfloat16", "dropout": True},
    }
    told = " ".join(odd_kl(kl(0.0, -3.8), stage))
    for option in ("sampling.top_k = 50", "sampling.temperature = 0.7", "training.dropout", "training.precision"):
        assert option in told


def test_a_kl_before_the_first_step_is_told_as_such_and_not_laid_to_noise():
    told = odd_kl(kl(-3.8, -4.0, error=5.0), {})
    assert "before the first step, where policy and reference are one" in told[0]
    assert told[1].startswith("none of the recorded options explains it")


def test_samples_of_an_older_run_are_measured_afterwards_and_newer_rows_are_left_alone():
    old = {"step": 4, "split": "validation", "loss": 1.0}
    new = {**old, "text/separators": 0.9}
    samples = [{"step": 4, "completion": "a, b", "finished": True}, {"step": 0, "completion": "c", "finished": True}]
    assert with_text([old], samples)[0]["text/separators"] == 1 / 3
    assert with_text([new], samples) == [new]


def test_a_run_is_diagnosed_from_its_files(tmp_path):
    stage = {"algo": "sft", "training": {"steps": 50, "batch_size": 8, "alarms": {"off": ["validation-rising"]}}}
    info = {"algo": "sft", "steps": 50, "data": {"train": {"rows": 8}, "validation": {"rows": 20}}}
    run = RunFolder.create(tmp_path / "r", info=info, recipe=yaml.dump({"name": "r", "stages": [stage]}))
    losses = [2.0, 1.5, 1.4, 1.6, 1.9, 2.2]
    for step, loss in enumerate(losses):
        run.append_metrics({"step": step, "split": "validation", "loss": loss})
    found = diagnose(run)
    assert [(alarm.name, alarm.evidence) for alarm in found.alarms] == [("few-data", "8 rows, each seen 50 times")]
    assert any(note.startswith("loss 2 → ") for note in found.notes)
