"""What `rlhf doctor` says of machines, installations and runs, each made to be in the state that is asked about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rlhf_core.recipe.doctor import installation, machine, runs
from rlhf_core.registry.catalog import Catalog, default_catalog
from rlhf_core.registry.discovery import Plugin
from rlhf_core.store.run import RUN_FILE, RunFolder
from rlhf_core.training import memory

GIB = 2**30


# --- the machine


def test_a_python_below_the_range_of_the_distribution_is_a_problem():
    assert machine.python("3.11.0").level == "ok"
    found = machine.python("3.10.14")
    assert (found.level, found.says) == ("problem", "3.10.14, but rlhf_core needs >=3.11")
    assert "Python >=3.11" in found.mend


@pytest.mark.parametrize(("free", "level"), [(50 * GIB, "ok"), (GIB, "note"), (10 * 2**20, "problem")])
def test_a_full_disk_is_told_before_a_checkpoint_fills_it(free, level):
    found = machine.disk(Path("runs"), free)
    assert found.level == level
    assert bool(found.mend) == (level != "ok")


def test_memory_is_what_the_container_allows(tmp_path, monkeypatch):
    total, free = memory.available_memory()
    assert total > free > 0
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{2 * GIB}\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.available_memory() == (min(total, 3 * GIB), min(free, GIB))
    assert machine.memory().level == "note"
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory()[0] == total


def test_a_place_that_cannot_be_written_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")
    found = machine.write_access(tmp_path / "file" / "runs", tmp_path / "file")
    assert found.level == "problem"
    assert machine.write_access(tmp_path, tmp_path).level == "ok"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
    assert machine.nearest_folder(tmp_path / "a" / "b") == tmp_path


@pytest.mark.parametrize(("built_for", "words"), [(None, "is the CPU build"), ("13.0", "sees no device")])
def test_a_card_that_torch_does_not_see_is_told_with_its_cause(built_for, words, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_NVIDIA", tmp_path / "version")
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    assert machine._no_cuda(built_for).level == "ok"
    (tmp_path / "version").write_text("NVRM")
    found = machine._no_cuda(built_for)
    assert found.level == "note"
    assert words in found.says


# --- what is installed


@pytest.mark.parametrize(
    ("requirement", "extra", "level", "says", "mend"),
    [
        ("click>=8", None, "ok", " (>=8)", ""),
        ("click>=900", None, "problem", "but >=900 is needed", "pip install 'click>=900'"),
        ("no-such-package>=1", None, "problem", "not installed; >=1 is needed", "pip install 'no-such-package>=1'"),
        ("no-such-package>=1", "track", "note", "the extra 'track' brings it", "pip install 'rlhf_core[track]'"),
    ],
)
def test_a_package_is_held_against_its_range(requirement, extra, level, says, mend):
    found = installation.package(Requirement(requirement), extra=extra)
    assert (found.level, found.mend) == (level, mend)
    assert says in found.says


def test_every_requirement_of_setup_cfg_is_looked_at():
    lines = (Path(__file__).parents[2] / "setup.cfg").read_text().partition("install_requires =\n")[2].splitlines()
    needed = [Requirement(line).name for line in lines[: lines.index("")]]
    looked_at = {found.subject for found in installation.packages([Requirement(name) for name in needed])}
    assert set(needed) <= looked_at
    assert "torch" in needed


def test_broken_plugins_come_with_reason_and_fix():
    broken = Plugin(name="bad", distribution="acme", version="1", status="failed", reason="no x", fix="pip install x")
    found = next(one for one in installation.installation(Catalog([broken])) if one.subject == "acme/bad")
    assert (found.level, found.says, found.mend) == ("problem", "no x", "pip install x")


def test_keys_are_told_to_be_set_and_never_shown():
    environment = {"OPENAI_API_KEY": "sk-very-secret", "HF_TOKEN": "hf-very-secret"}
    found = list(installation.keys(default_catalog(), environment))
    assert {(one.subject, one.says) for one in found} == {("OPENAI_API_KEY", "set"), ("HF_TOKEN", "set")}
    missing = list(installation.keys(default_catalog(), {}))
    assert [one.level for one in missing] == ["note", "ok"]
    assert "judge chatgpt" in missing[0].says


def test_what_trainings_keep_is_weighed(tmp_path, monkeypatch):
    monkeypatch.setenv("RLHF_CACHE", str(tmp_path))
    assert installation.own_cache().says == "nothing kept"
    (tmp_path / "reference-logprobs").mkdir()
    (tmp_path / "reference-logprobs" / "abc.sqlite").write_bytes(bytes(3 * 2**20))
    found = installation.own_cache()
    assert (found.subject, found.says.split(";")[0]) == (str(tmp_path), "3.0 MiB of reference logprobs")


def test_the_hub_is_told_to_be_offline_by_the_variable_that_makes_it_so(tmp_path):
    (tmp_path / "models--acme--tiny").mkdir()
    place = {"HF_HUB_CACHE": str(tmp_path)}
    cache, network = installation.hub(place | {"HF_HUB_OFFLINE": "1"})
    assert cache.says == "1 models (acme/tiny)"
    assert network.says.startswith("offline by HF_HUB_OFFLINE")
    assert list(installation.hub(place | {"HF_HUB_OFFLINE": "0"}))[1].says.startswith("may be asked")


# --- runs


def make_run(folder: Path, **info: object) -> RunFolder:
    """A run of 10 steps that wrote five of them in 50 s, last touched an hour ago as its run.json says."""
    run = RunFolder.create(folder, info={"algo": "sft", "steps": 10})
    for step in range(6):
        row = {"step": step, "records": step, "seconds": 10.0 * step}
        run.append_metrics({**row, "split": "validation", "loss": 2.0 - step / 10})
        if step:
            run.append_metrics({**row, "split": "train", "loss": 2.0})
    told = {**run.info, "updated": "2020-01-01T00:00:00+00:00", **info}
    (run.path / RUN_FILE).write_text(json.dumps(told))
    return run


def test_a_run_whose_process_died_is_a_problem_and_the_mend_goes_on(tmp_path):
    run = make_run(tmp_path / "dead", status="running")
    (run.path / "lock").write_text("4194304\n")  # what a killed process leaves
    found = runs.status(run)
    assert found.level == "problem"
    assert "step 5 of 10" in found.says
    assert "no process writes it" in found.says
    assert found.mend == f"go on: rlhf train --resume {run.path}"
    assert [one.subject for one in runs.unfinished(tmp_path)] == [str(tmp_path), str(run.path)]


def test_a_run_that_is_being_written_says_by_whom_and_how_long_it_will_take(tmp_path):
    run = make_run(tmp_path / "live", status="running")
    with run.lock():
        found = runs.status(run)
        assert run.writer()
    assert found.level == "ok"
    assert "step 5 of 10, about 0:50 left" in found.says
    assert run.writer() is None


def test_a_run_that_has_fallen_silent_is_worth_a_look(tmp_path, monkeypatch):
    run = make_run(tmp_path / "silent", status="running")
    monkeypatch.setattr(RunFolder, "silence", lambda _: 900.0)
    with run.lock():
        found = runs.status(run)
    assert found.level == "note"
    assert "no line of metrics for 15:00, while a step took 10.0 s" in found.says


def test_a_run_that_just_began_is_not_called_dead(tmp_path):
    run = RunFolder.create(tmp_path / "new", info={"steps": 10})
    assert runs.status(run).level == "ok"


@pytest.mark.parametrize(
    ("info", "level", "says", "mend"),
    [
        ({"status": "failed", "error": "the loss is nan"}, "problem", "failed, step 5 of 10: the loss is nan", "mend"),
        ({"status": "stopped"}, "note", "stopped, step 5 of 10", "go on: rlhf train --resume"),
        ({"status": "finished", "seconds": 65}, "ok", "finished, step 5 of 10, 1:05", ""),
    ],
)
def test_how_it_ended_is_told_with_what_to_do(tmp_path, info, level, says, mend):
    found = runs.status(make_run(tmp_path / "run", **info))
    assert (found.level, found.says) == (level, says)
    assert found.mend.startswith(mend)


def test_a_run_of_two_processes_goes_on_with_two(tmp_path):
    run = make_run(tmp_path / "a run", status="stopped", processes=2)
    assert runs.status(run).mend == f"go on: rlhf train --resume '{run.path}' --procs 2"


def test_the_evaluations_are_told_first_kept_and_last(tmp_path):
    run = make_run(tmp_path / "run", status="finished", best_step=3)
    assert [(one.subject, one.says) for one in runs.progress(run)] == [
        ("held-out loss", "2 at step 0 → 1.5 at step 5 (kept: step 3, 1.7)")
    ]


def subjects(found: Iterator) -> dict[str, str]:
    return {one.subject: one.says for one in found if one.area == "next"}


def test_what_to_type_next_fits_what_the_run_is(tmp_path):
    writer, judge = (make_run(tmp_path / algo, status="finished", algo=algo) for algo in ("sft", "reward"))
    for run in (writer, judge):
        assert subjects(runs.examine(run, default_catalog())) == {}, "there is no model yet"
        run.model.mkdir()
    assert "rlhf evaluate --run" in subjects(runs.examine(writer, default_catalog()))["measure"]
    assert subjects(runs.examine(judge, default_catalog()))["use"].endswith(f"--reward {judge.path}")


def test_many_dropped_rows_are_worth_a_look():
    report = {"read": 100, "kept": 80, "truncated": 0, "dropped": {"prompt too long": {"count": 20}}}
    (found,) = runs.data({"data": {"train": report}})
    assert (found.level, found.says) == ("note", "80 of 100 rows kept, 0 cut; dropped: 20 prompt too long")
    (fine,) = runs.data({"data": {"train": {**report, "kept": 99, "dropped": {}}}})
    assert fine.level == "ok"
