"""`rlhf report` as a user types it."""

from __future__ import annotations

from pathlib import Path

from conftest import Rlhf

FOLDER = Path("runs/small")


def test_one_run_a_recipes_folder_and_the_newest_each_get_their_page(rlhf: Rlhf) -> None:
    assert rlhf("report", FOLDER / "dpo").out == "runs/small/dpo/report.html\n"
    assert rlhf("report", "--run", "small").out == "runs/small/report.html\n"
    done = rlhf("report", "--output", "elsewhere.html", FOLDER)
    assert done.out == "elsewhere.html\n"
    html = Path("elsewhere.html").read_text()
    assert all(f"{name} <span" in html for name in ("sft", "reward", "dpo", "ppo"))
    assert "train data sha256" in html


def test_several_runs_are_compared(rlhf: Rlhf) -> None:
    done = rlhf("report", FOLDER / "dpo", FOLDER / "ppo")
    assert (done.code, done.out) == (0, "runs/small/comparison.html\n")
    html = (FOLDER / "comparison.html").read_text()
    assert "<title>dpo · ppo</title>" in html
    assert "<td>trainer.beta</td>" in html
    assert "<td>seed</td>" not in html


def test_what_is_no_run_or_twice_the_same_is_told_in_one_line(rlhf: Rlhf) -> None:
    done = rlhf("report", FOLDER / "dpo", "nowhere")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "nowhere: no run there" in done.err
    assert rlhf("report", "nowhere").code == 2
    done = rlhf("report", FOLDER / "dpo", "small/dpo")
    assert (done.code, done.err) == (
        2,
        "error: runs/small/dpo runs/small/dpo: the same run twice; name different ones\n",
    )
