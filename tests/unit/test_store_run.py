"""Run folders: made, found, written by one process, rewound."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.store.run import RunFolder


def row(step, split="train", **numbers):
    return {"step": step, "records": step * 4, "seconds": 0.5, "split": split, **numbers}


def test_a_new_run_is_running_and_holds_what_it_was_told(tmp_path):
    run = RunFolder.create(tmp_path / "mine", info={"command": "rlhf train"}, recipe="algo: dpo\n")
    assert (run.status, run.name, run.info["command"]) == ("running", "mine", "rlhf train")
    assert run.recipe.read_text() == "algo: dpo\n"
    assert run.metrics() == run.samples() == []


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    RunFolder.create(tmp_path / "mine")
    with pytest.raises(RLHFError, match=r"mine: the folder is in use; go on with it by --resume, or choose another"):
        RunFolder.create(tmp_path / "mine")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("1")
    with pytest.raises(RLHFError, match=r"thesis: the folder is in use; choose another --output"):
        RunFolder.create(tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_an_empty_folder_may_become_a_run_but_a_file_may_not(tmp_path):
    (tmp_path / "empty").mkdir()
    assert RunFolder.create(tmp_path / "empty").exists
    (tmp_path / "file").write_text("")
    with pytest.raises(RLHFError, match="this is a file"):
        RunFolder.create(tmp_path / "file")


def test_runs_are_found_by_path_by_name_and_by_age(tmp_path):
    for name in ("b", "puns/sft", "a"):
        RunFolder.create(tmp_path / name)
    assert [run.name for run in RunFolder.list(tmp_path)] == ["b", "sft", "a"]
    assert RunFolder.newest(tmp_path).name == "a"
    assert RunFolder.open("puns/sft", tmp_path).path == tmp_path / "puns" / "sft"
    assert RunFolder.open(tmp_path / "b").path == tmp_path / "b"


def test_a_run_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    RunFolder.create(tmp_path / "dpo")
    with pytest.raises(RLHFError, match=r"dop: no run there .*; runs: .*dpo$"):
        RunFolder.open("dop", tmp_path)
    with pytest.raises(RLHFError, match="no runs yet"):
        RunFolder.newest(tmp_path / "nowhere")


def test_updates_keep_the_other_entries_and_know_the_statuses(tmp_path):
    run = RunFolder.create(tmp_path / "mine", info={"seed": 3})
    run.update(status="stopped", step=7)
    assert (run.info["seed"], run.info["step"], run.status) == (3, 7, "stopped")
    with pytest.raises(ValueError, match="'done' is none of running, finished, stopped, failed"):
        run.update(status="done")


def test_a_broken_run_file_is_named(tmp_path):
    run = RunFolder.create(tmp_path / "mine")
    (run.path / "run.json").write_text("{")
    with pytest.raises(RLHFError, match=r"mine/run\.json: cannot be read"):
        run.status  # noqa: B018


def test_a_line_cut_by_a_crash_is_passed_over_but_a_broken_one_is_named(tmp_path):
    run = RunFolder.create(tmp_path / "mine")
    run.append_metrics(row(1, loss=0.25))
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    assert run.metrics() == [row(1, loss=0.25)]
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(RLHFError, match=r"metrics\.jsonl:2: not JSON"):
        run.metrics()


def test_rewinding_drops_what_the_checkpoint_does_not_know(tmp_path):
    run = RunFolder.create(tmp_path / "mine")
    for line in (row(0, "validation"), row(1), row(2), row(2, "validation"), row(3), row(4), row(4, "validation")):
        run.append_metrics(line)
    run.append_samples([{"step": step, "completion": "ä"} for step in (0, 2, 4)])
    run.rewind(4, evaluated=2)
    assert [(line["step"], line["split"]) for line in run.metrics()] == [
        (0, "validation"), (1, "train"), (2, "train"), (2, "validation"), (3, "train"), (4, "train"),
    ]  # fmt: skip
    assert run.samples() == [{"step": 0, "completion": "ä"}, {"step": 2, "completion": "ä"}]
    run.rewind(-1, evaluated=-1)
    assert run.metrics() == run.samples() == []


def test_finishing_leaves_the_model_and_says_so(tmp_path):
    run = RunFolder.create(tmp_path / "mine")
    run.finish(lambda folder: (folder / "weights").write_text("w"))
    assert (run.model / "weights").read_text() == "w"
    assert run.status == "finished"


def test_two_writers_of_one_run_are_kept_apart(tmp_path):
    run = RunFolder.create(tmp_path / "mine")
    with run.lock(), pytest.raises(RLHFError, match=r"mine: process \d+ is writing this run"), run.lock():
        pass
    with run.lock():
        pass


def test_another_process_holds_the_lock_until_it_dies_however_it_dies(tmp_path):
    run = RunFolder.create(tmp_path / "mine")
    code = (
        "import sys, time; from pathlib import Path; from rlhf_core.store.lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(run.path / "lock")], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RLHFError, match=f"process {holder.pid} is writing"), run.lock():
            pass
    finally:
        holder.kill()
        holder.wait()
    assert (run.path / "lock").read_text() == f"{holder.pid}\n", "the dead process left its pid behind"
    with run.lock():
        pass
