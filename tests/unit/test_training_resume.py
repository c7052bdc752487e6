"""A run that is cut anywhere goes on as if it had not been: the same weights bit for bit, the same files."""

from __future__ import annotations

import os
import random
import signal

import numpy
import pytest
import torch
from policy_parts import EOS, tiny_policy
from training_parts import CountC, ToyPPO, ToySFT, demonstrations, engine, records_of, weights

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Row
from rlhf_core.store.run import RunFolder
from rlhf_core.training import randomness
from rlhf_core.training.engine import Engine
from rlhf_core.training.options import TrainingOptions

TIMED = {"seconds", "tokens_per_second"}
OFFLINE = {"make": ToySFT, "steps": 5, "eval_every": 2, "save_every": 2, "updates": 5}
ONLINE = {"make": lambda: ToyPPO(step_kl_limit=2e-4), "steps": 4, "eval_every": 3, "save_every": 2, "updates": 14}


AUTO = {**OFFLINE, "micro_batch_tokens": "auto"}


class Cut(Exception):
    pass


def build(folder, case, **more):
    options = {name: value for name, value in case.items() if name not in ("make", "updates")}
    return engine(folder, case["make"](), **options, **more)


def after_update(built, at, action):
    """Call ``action`` when optimizer step ``at`` (1-based) is done."""
    trainer, original, done = built.trainer, built.trainer.after_step, []

    def after_step(metrics):
        done.append(1)
        told = original(metrics)
        if len(done) == at:
            action()
        return told

    trainer.after_step = after_step


def fail():
    raise Cut


def everything(built):
    """All that a run leaves, times apart."""
    rows = [{name: value for name, value in row.items() if name not in TIMED} for row in built.run.metrics()]
    best = (built.run.best / "table.safetensors").read_bytes()
    model = (built.run.model / "table.safetensors").read_bytes()
    optimizer = built.updates.optimizer.state_dict()["state"]
    return {
        "weights": {name: value.tolist() for name, value in weights(built).items()},
        "moments": {index: state["exp_avg_sq"].tolist() for index, state in optimizer.items()},
        "trainer": built.trainer.state_dict(),
        "random": randomness.capture()["torch"].tolist(),
        "files": (rows, built.run.samples(), built.run.held_out(), best, model),
    }


def test_runs_of_one_seed_are_equal_and_of_another_are_not(tmp_path):
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        built = build(tmp_path / name, ONLINE, seed=seed)
        built.train()
        found.append(everything(built))
    assert found[0] == found[1]
    assert found[0]["weights"] != found[2]["weights"]


@pytest.mark.parametrize("case", [OFFLINE, ONLINE, AUTO], ids=["offline", "online", "auto"])
def test_stopped_at_any_optimizer_step_a_run_ends_as_if_it_had_not_been(tmp_path, case):
    whole = build(tmp_path / "whole", case)
    whole.train()
    expected = everything(whole)
    assert whole.progress.updates == case["updates"], "the target drops some of the online trainer's 16 updates"
    for at in range(1, case["updates"] + 1):
        folder = tmp_path / f"cut-{at}"
        first = build(folder, case)
        after_update(first, at, first.interrupts.request)
        outcome = first.train()
        assert (outcome.status, first.run.status, first.run.model.exists()) == ("stopped", "stopped", False)
        assert first.progress.updates == at, "the step under way is finished, and no other is begun"
        assert first.run.checkpoints.load(first.trainer.Row).progress["updates"] == at, "and nothing is lost"
        second = build(folder, case, resume=True)
        assert second.train(resume=True).status == "finished"
        assert everything(second) == expected


@pytest.mark.parametrize("case", [OFFLINE, ONLINE], ids=["offline", "online"])
def test_killed_at_any_optimizer_step_a_run_goes_on_from_its_last_checkpoint_without_double_lines(tmp_path, case):
    whole = build(tmp_path / "whole", case)
    whole.train()
    expected = everything(whole)
    for at in range(1, case["updates"] + 1):
        folder = tmp_path / f"cut-{at}"
        first = build(folder, case)
        after_update(first, at, fail)
        with pytest.raises(Cut):
            first.train()
        assert first.run.status == "failed"
        second = build(folder, case, resume=True)
        second.train(resume=True)
        assert everything(second) == expected


def test_stopped_again_and_again_a_run_still_ends_the_same(tmp_path):
    whole = build(tmp_path / "whole", ONLINE)
    whole.train()
    built = build(tmp_path / "r", ONLINE)
    for resume in [False] + [True] * (ONLINE["updates"] - 1):
        built = build(tmp_path / "r", ONLINE, resume=resume) if resume else built
        after_update(built, 1, built.interrupts.request)
        built.train(resume=resume)
    last = build(tmp_path / "r", ONLINE, resume=True)
    last.train(resume=True)
    assert everything(last) == everything(whole)


@pytest.mark.parametrize("at", [1, 3])
def test_a_stop_inside_collect_abandons_it_and_restores_the_random_state(tmp_path, at):
    whole = build(tmp_path / "whole", ONLINE)
    whole.train()
    first, calls, states = build(tmp_path / "r", ONLINE), [], []
    original = first.trainer.collect

    def collect(rows, *, seed):
        states.append(randomness.capture()["torch"])
        return original(rows, seed=seed)

    def on_collect():
        calls.append(1)
        if len(calls) == at:
            first.interrupts.request()
            raise AssertionError("collect goes on although a stop was asked for")

    first.trainer.collect, first.trainer.on_collect = collect, on_collect
    assert first.train().step == at - 1
    assert torch.equal(torch.get_rng_state(), states[-1])
    second = build(tmp_path / "r", ONLINE, resume=True)
    second.train(resume=True)
    assert everything(second) == everything(whole)


@pytest.mark.parametrize(("at", "step"), [(1, 0), (2, 0), (3, 3)], ids=["metrics", "samples", "later"])
def test_a_stop_inside_an_evaluation_repeats_it_when_the_run_goes_on(tmp_path, at, step):
    whole = build(tmp_path / "whole", ONLINE)
    whole.train()

    class Interrupting(CountC):
        def score(self, completions):
            self.held_out += completions[0].group == "held-out:0"
            if self.held_out == at:
                first.interrupts.request()
            return super().score(completions)

    reward = Interrupting()
    reward.held_out = 0
    first = build(tmp_path / "r", ONLINE, reward=reward)
    assert first.train().step == step
    assert first.progress.evaluated == (0 if step else -1)
    second = build(tmp_path / "r", ONLINE, resume=True)
    second.train(resume=True)
    assert everything(second) == everything(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_returns(tmp_path, number):
    built = build(tmp_path / "r", ONLINE)
    before = signal.getsignal(number)
    after_update(built, 2, lambda: os.kill(os.getpid(), number))
    outcome = built.train()
    assert (outcome.status, built.progress.updates) == ("stopped", 2)
    assert built.run.checkpoints.paths()[-1].name == f"step-{built.progress.step:08d}.{built.progress.within:04d}"
    assert signal.getsignal(number) is before


def test_the_second_ctrl_c_does_not_wait(tmp_path):
    built = build(tmp_path / "r", ONLINE)

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    after_update(built, 2, twice)
    with pytest.raises(KeyboardInterrupt):
        built.train()
    assert built.run.status == "failed"


def test_a_finished_run_may_be_resumed_and_stays_as_it_is(tmp_path):
    built = build(tmp_path / "r", ONLINE)
    built.train()
    again = build(tmp_path / "r", ONLINE, resume=True)
    assert again.train(resume=True).status == "finished"
    assert everything(again)["files"] == everything(built)["files"]


def test_a_run_that_has_begun_is_not_begun_again(tmp_path):
    build(tmp_path / "r", OFFLINE).train()
    with pytest.raises(RLHFError, match="the run has begun; go on by --resume"):
        build(tmp_path / "r", OFFLINE, resume=True).train()


def test_resuming_without_a_checkpoint_starts_anew(tmp_path):
    first = build(tmp_path / "r", OFFLINE)
    after_update(first, 1, fail)
    with pytest.raises(Cut):
        first.train()
    assert first.run.metrics(), "the evaluation of the start was written"
    second = build(tmp_path / "r", OFFLINE, resume=True)
    second.train(resume=True)
    assert [row["step"] for row in second.run.metrics() if row["split"] == "validation"] == [0, 2, 4, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": demonstrations(10, seed=9)}, r"data\.train: \w{12}… → \w{12}…"),
        ({"validation": demonstrations(4, seed=9, name="held-out")}, r"data\.validation"),
        ({"learning_rate": 0.06}, r"training\.learning_rate: 0\.05 → 0\.06"),
        ({"adam_betas": (0.8, 0.999)}, r"training\.adam_betas\.0: 0\.9 → 0\.8"),
        ({"seed": 4}, "seed: 0 → 4"),
    ],
)
def test_another_run_does_not_go_on_in_its_name(tmp_path, change, message):
    first = build(tmp_path / "r", OFFLINE)
    after_update(first, 3, first.interrupts.request)
    first.train()
    before = (first.run.path / "metrics.jsonl").read_bytes()
    with pytest.raises(RLHFError, match=rf"(?s)as it was started, but now there is\n  .*{message}.*another --output"):
        build(tmp_path / "r", OFFLINE, resume=True, **change).train(resume=True)
    assert (first.run.path / "metrics.jsonl").read_bytes() == before
    assert first.run.status == "stopped"


def test_what_moves_no_weight_may_change_when_a_run_goes_on(tmp_path):
    whole = build(tmp_path / "whole", OFFLINE)
    whole.train()
    first = build(tmp_path / "r", OFFLINE)
    after_update(first, 3, first.interrupts.request)
    first.train()
    second = build(tmp_path / "r", {**OFFLINE, "save_every": 1}, resume=True, keep_checkpoints=1, device="cpu")
    second.train(resume=True)
    assert everything(second)["weights"] == everything(whole)["weights"]


def test_a_run_is_written_by_one_process_at_a_time(tmp_path):
    built = build(tmp_path / "r", OFFLINE)
    with built.run.lock(), pytest.raises(RLHFError, match="is writing this run"):
        built.train()


def test_all_random_states_are_restored():
    def draw():
        return random.random(), float(numpy.random.rand()), float(torch.rand(()))

    randomness.seed_all(3)
    with randomness.left_alone():
        first = draw()
    assert draw() == first
    assert draw() != first


def test_derived_seeds_differ_by_purpose_and_fit_every_generator():
    seeds = [randomness.derive(seed, purpose, step) for seed in (0, 1) for purpose in "ab" for step in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


# --- the real policy


def real(folder, resume, trainer, policy):
    generator = torch.Generator().manual_seed(0)

    def draw(count):
        return tuple(torch.randint(2, 64, (count,), generator=generator).tolist())

    rows = [Row(record_id=f"r{n}", prompt=draw(4), completions=((*draw(3), EOS),)) for n in range(12)]
    if isinstance(trainer, ToyPPO):
        rows = [Row(record_id=row.record_id, prompt=row.prompt) for row in rows]
    return Engine(
        policy, trainer, rows[:8], rows[8:], records_of(*rows, codec=policy.codec),
        TrainingOptions(steps=3, batch_size=4, learning_rate=0.05, micro_batch_tokens=20, eval_every=2),
        sampling=SamplingSpec(max_new_tokens=4), reward=Length(),
        run=RunFolder.open(folder) if resume else RunFolder.create(folder),
    )  # fmt: skip


class Length:
    def prepare(self, context): ...

    def score(self, completions):
        return [float(len(completion.tokens)) for completion in completions]


@pytest.mark.parametrize(("trainer", "cuts"), [(ToySFT, [2]), (ToyPPO, [1, 6])], ids=["offline", "online"])
@pytest.mark.parametrize("adapters", [True, False], ids=["lora", "full"])
def test_the_real_policy_goes_on_bit_for_bit(tmp_path, trainer, cuts, adapters):
    def policy():
        return tiny_policy() if adapters else tiny_policy(None)

    whole = real(tmp_path / "whole", False, trainer(), policy())
    whole.train()
    start = {name: value.clone() for name, value in policy().state().items()}
    for at in cuts:
        first = real(tmp_path / f"cut-{at}", False, trainer(), policy())
        after_update(first, at, first.interrupts.request)
        assert first.train().status == "stopped"
        second = real(tmp_path / f"cut-{at}", True, trainer(), policy())
        second.train(resume=True)
        found, expected = weights(second), weights(whole)
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        assert any(not torch.equal(found[name], start.get(name, found[name] + 1)) for name in found)
    assert (whole.run.model / "rlhf.json").is_file()
