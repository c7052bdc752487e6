"""Two processes equal one, and go on after a stop like one."""

from __future__ import annotations

import functools
import multiprocessing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from training_parts import BigramPolicy, ToyPPO, ToySFT, demonstrations, engine, weights

from rlhf_core.contract.errors import RLHFError
from rlhf_core.store.run import RunFolder
from rlhf_core.training.batching import count_over_ranks
from rlhf_core.training.world import World

ONLINE = {"steps": 3, "batch_size": 3, "eval_every": 2, "save_every": 3}
OFFLINE = {"steps": 3, "batch_size": 5, "eval_every": 3, "micro_batch_tokens": 1}


class Quiet(ToyPPO):
    """Draws nothing from the global random state, which each rank has of its own."""

    noise = 0.0

    def validate(self, rows, totals, *, seed):
        found = super().validate(rows, totals, seed=seed)
        self.context.all_reduce(torch.ones(1))  # as normalising trainers do: all ranks must come here
        return {"score": found["score"]}


class Noisy(Quiet):
    noise = 0.01


def online(folder: Path, trainer=Quiet, **options):
    return engine(folder, trainer(), policy=BigramPolicy(), micro_batch_tokens=4, **ONLINE, **options)


def offline(folder: Path, **options):
    held_out = demonstrations(5, seed=1, name="held-out")  # an odd number: the last round has work for one rank only
    return engine(folder, ToySFT(), policy=BigramPolicy(), validation=held_out, **OFFLINE, **options)


def one_of_two(rank: int, folder: Path) -> None:
    """What each process does; assertions are made by the tests, on what it leaves."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    for build in (online, offline):
        built = together(build, folder / build.__name__, rank)
        built.train()
        torch.save(weights(built), folder / f"{build.__name__}-{rank}.pt")
    noisy = functools.partial(online, trainer=Noisy)
    whole, cut = (together(noisy, folder / name, rank) for name in ("whole", "cut"))
    whole.train()
    steps, original = [], cut.trainer.after_step

    def after_step(metrics):
        steps.append(1)
        if len(steps) == 6 and rank == 1:
            cut.interrupts.request()
        return original(metrics)

    cut.trainer.after_step = after_step
    status = cut.train().status
    dist.barrier()
    second = noisy(folder / "cut", resume=True)
    after = second.train(resume=True).status
    equal = all(torch.equal(weights(second)[name], value) for name, value in weights(whole).items())
    (folder / f"report-{rank}.txt").write_text(f"{status} {len(steps)} {after} {equal}")
    dist.barrier()
    dist.destroy_process_group()


def together(build, folder: Path, rank: int):
    """The first process creates the run, the second opens it."""
    built = build(folder) if rank == 0 else None
    dist.barrier()
    return built or build(folder, resume=True)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    online(folder / "online").train()
    offline(folder / "offline").train()
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=one_of_two, args=(rank, folder)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
        if process.is_alive():
            process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    return folder


@pytest.mark.parametrize("name", ["online", "offline"])
def test_two_processes_train_the_same_weights_as_one(one, two, name):
    alone = load_file(one / name / "checkpoints" / "step-00000003" / "weights.safetensors")
    first, second = (torch.load(two / f"{name}-{rank}.pt", weights_only=True) for rank in range(2))
    for key in alone:
        assert torch.equal(first[key], second[key]), "ranks must not drift apart"
        assert torch.allclose(first[key], alone[key], atol=1e-5)


@pytest.mark.parametrize("name", ["online", "offline"])
def test_two_processes_write_the_same_metrics_once(one, two, name):
    alone, together = (RunFolder.open(folder / name).metrics() for folder in (one, two))
    assert len(alone) == len(together) > 3
    for mine, theirs in zip(alone, together, strict=True):
        for key in set(mine) - {"seconds", "tokens_per_second"}:
            assert theirs[key] == (mine[key] if key == "split" else pytest.approx(mine[key], abs=1e-5))


def test_two_processes_keep_the_same_held_out_rows_in_the_same_order(one, two):
    alone, together = (RunFolder.open(folder / "offline").held_out() for folder in (one, two))
    assert len(alone) == len(together) > 3
    for mine, theirs in zip(alone, together, strict=True):
        assert (theirs["step"], theirs["record_id"]) == (mine["step"], mine["record_id"])
        assert theirs["loss"] == pytest.approx(mine["loss"], abs=1e-5)


def test_a_stop_heard_by_one_process_stops_both_at_one_step_and_both_go_on(two):
    for rank in range(2):
        assert (two / f"report-{rank}.txt").read_text() == "stopped 6 finished True"


def test_another_number_of_processes_does_not_go_on(two):
    built = online(two / "whole", Noisy, resume=True)
    with pytest.raises(RLHFError, match="processes: 2 → 1"):
        built.train(resume=True)


def test_slices_of_all_ranks_are_the_whole_in_order():
    items = list(range(7))
    assert [list(World(rank, 3).slice(items)) for rank in range(3)] == [[0, 1], [2, 3], [4, 5, 6]]
    assert list(World().slice(items)) == items


def test_a_batch_smaller_than_the_number_of_processes_is_refused():
    with pytest.raises(RLHFError, match=r"training\.batch_size = 2, but there are 3 processes"):
        World(0, 3).require_rows(2)


def test_parameters_without_a_gradient_count_as_zero():
    parameter = torch.nn.Parameter(torch.ones(2))
    World().sum_gradients([parameter])
    assert parameter.grad.tolist() == [0.0, 0.0]


def test_counts_of_one_process_are_its_own():
    assert vars(count_over_ranks([], World())) == {"rows": 0.0, "completions": 0.0, "tokens": 0.0}
