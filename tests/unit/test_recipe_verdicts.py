"""What labels say: figures, preference pairs, and the same of any file of ratings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from label_parts import evaluated_run, no_catalog, session

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import Preference
from rlhf_core.data.loading import load_records
from rlhf_core.data.options import DataOptions
from rlhf_core.evaluation.people import Statistics
from rlhf_core.recipe.people.labelling import Request, Session, label_set, open_session
from rlhf_core.recipe.people.ratings import rating_statistics
from rlhf_core.recipe.people.verdicts import export_pairs, label_statistics
from rlhf_core.store.labels import SQLiteLabels
from rlhf_core.store.run import RunFolder

TEXTS = [(f"the run's {i}", f"the baseline's {i}") for i in range(6)]
SAYS = {"run": {"run": "left", "baseline": "right"}, "baseline": {"run": "right", "baseline": "left"}}


@pytest.fixture
def store(tmp_path: Path) -> SQLiteLabels:
    return SQLiteLabels(tmp_path / "labels.sqlite")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """The judge names the run for prompts 0 to 2, the baseline for 3 and 4; on 5 its orders disagree."""
    one = ["run", "run", "run", "baseline", "baseline", "run"]
    columns = {"gpt/run-first": one, "gpt/baseline-first": [*one[:5], "baseline"]}
    return evaluated_run(tmp_path / "mine", TEXTS, **columns)


def answer(asking: Session, wanted: dict[str, str], again: dict[str, str] | None = None) -> None:
    """``wanted``: by prompt, who is to win, or a choice; ``again``: the same for repeats."""
    way = asking.store.way(asking.chosen.id, asking.rater)
    for at, place in enumerate(way.places):
        prompt = asking.pairs[place.number].prompt
        said = (again or {}).get(prompt, wanted[prompt]) if place.repeat else wanted[prompt]
        taken, _ = asking.answer(at, SAYS[place.left][said] if said in SAYS else said)
        assert taken


def prompts(*said: str) -> dict[str, str]:
    return {f"say {i}": one for i, one in enumerate(said)}


def values(found: Statistics) -> dict[str, float | None]:
    return {figure.name: figure.estimate.value for figure in found.figures}


def test_people_and_judge_are_compared_by_hand(run: RunFolder, store: SQLiteLabels) -> None:
    answer(session(run, store, "ana"), prompts("run", "run", "baseline", "baseline", "tie", "skip"))
    answer(session(run, store, "bo"), prompts("run", "run", "run", "baseline", "both-bad", "flag"))
    found = values(label_statistics(store))
    assert found["win rate of the run"] == pytest.approx((2.5 + 3.5) / 10)
    assert found["agreement of people"] == pytest.approx(4 / 5)
    assert found["agreement of people, decided"] == pytest.approx(3 / 4)
    # Against ana alike on 0, 1, 3 of five; against bo on 0, 1, 2, 3 of five.
    assert found["agreement of judge gpt"] == pytest.approx(7 / 10)
    assert found["agreement of judge gpt, decided"] == pytest.approx(7 / 8)
    assert "kappa of ana and bo" in found
    notes = label_statistics(store).notes
    assert notes[0] == "12 labels by ana (6), bo (6)"
    assert all(f"1 {choice}" in notes[1] for choice in ("skip", "flag", "tie", "both-bad"))


def test_a_judge_that_is_asked_later_is_known_too_and_its_newest_verdict_counts(
    run: RunFolder, store: SQLiteLabels
) -> None:
    answer(session(run, store, "ana"), prompts("run", "run", "run", "baseline", "baseline", "baseline"))
    before = values(label_statistics(store))
    assert before["agreement of judge gpt"] == pytest.approx(5 / 6)
    rows = [json.loads(line) for line in (run.evaluations / "puns.jsonl").read_text().splitlines()]
    for row in rows[:6]:
        row |= {"gpt/run-first": "baseline", "gpt/baseline-first": "baseline", "new/run-first": "run",
                "new/baseline-first": None}  # fmt: skip
    (run.evaluations / "later.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run.evaluations / "later.json").write_text('{"baseline": "base"}')
    os.utime(run.evaluations / "puns.json", (1, 1))
    later = values(label_statistics(store))
    assert later["agreement of judge gpt"] == pytest.approx(3 / 6)
    assert "agreement of judge new" not in later


def test_swapped_repeats_tell_self_consistency(run: RunFolder, store: SQLiteLabels) -> None:
    asking = session(run, store, "ana", repeats=2)
    repeated = [
        asking.pairs[place.number].prompt for place in store.way(asking.chosen.id, "ana").places if place.repeat
    ]
    answer(asking, prompts(*["run"] * 6), {repeated[0]: "baseline"})
    found = values(label_statistics(store))
    assert found["self-consistency"] == 0.5
    assert found["win rate of the run"] == 1.0


def test_always_the_left_one_shows_as_position_bias(run: RunFolder, store: SQLiteLabels) -> None:
    answer(session(run, store, repeats=2), prompts(*["left"] * 6))
    found = values(label_statistics(store))
    assert (found["shown first wins"], found["self-consistency"]) == (1.0, 0.0)


def test_labels_of_another_run_stay_apart(run: RunFolder, store: SQLiteLabels, tmp_path: Path) -> None:
    answer(session(run, store), prompts(*["run"] * 6))
    other = evaluated_run(tmp_path / "other", [("a", "b")])
    with pytest.raises(RLHFError, match=r"no labels of .*other yet"):
        label_statistics(store, str(other.path))
    answer(session(other, store), prompts("baseline"))
    assert values(label_statistics(store, str(run.path)))["win rate of the run"] == 1.0
    assert values(label_statistics(store))["win rate of the run"] == pytest.approx(6 / 7)


def test_pairs_are_exported_as_training_reads_them_and_what_is_left_out_is_counted(
    run: RunFolder, store: SQLiteLabels, tmp_path: Path
) -> None:
    answer(session(run, store, "ana", repeats=2), prompts("run", "baseline", "tie", "skip", "run", "run"))
    answer(session(run, store, "bo"), prompts("run", "skip", "both-bad", "skip", "baseline", "flag"))
    path = tmp_path / "pairs.jsonl"
    done = export_pairs(store, path)
    assert (done.pairs, done.left_out) == (2, {"tie": 1, "skipped": 1, "divided": 1, "flagged": 1})
    rows = {row["prompt"]: row for row in map(json.loads, path.read_text().splitlines())}
    assert rows == {
        "say 0": {"prompt": "say 0", "chosen": "the run's 0", "rejected": "the baseline's 0"},
        "say 1": {"prompt": "say 1", "chosen": "the baseline's 1", "rejected": "the run's 1"},
    }
    options = DataOptions.model_validate({"sources": [{"path": str(path)}]})
    records = load_records(options, Preference, split="train", folder=tmp_path, open_dataset=None).records  # type: ignore[arg-type]
    assert sorted((record.chosen, record.rejected) for record in records) == [
        ("the baseline's 1", "the run's 1"), ("the run's 0", "the baseline's 0"),
    ]  # fmt: skip


def test_nothing_decided_is_nothing_written(run: RunFolder, store: SQLiteLabels, tmp_path: Path) -> None:
    answer(session(run, store), prompts(*["tie"] * 6))
    with pytest.raises(RLHFError, match="no label decides"):
        export_pairs(store, tmp_path / "pairs.jsonl")
    assert not (tmp_path / "pairs.jsonl").exists()


def test_uncertain_first_is_told_to_limit_the_figures(run: RunFolder, store: SQLiteLabels) -> None:
    chosen = label_set(run, Request(selection="uncertain"), store, tell=lambda _: None, catalog=no_catalog)
    asking = open_session(store, chosen, "ana", items=1, shared=0, repeats=0)
    assert asking.now()["prompt"] == "say 5"
    asking.answer(0, "left")
    assert "no estimate for pairs in general" in label_statistics(store).notes[-1]


def test_what_cannot_be_labelled_is_told(store: SQLiteLabels, tmp_path: Path) -> None:
    bare = RunFolder.create(tmp_path / "bare")
    for request, said in (
        (Request(), "no evaluation compares it with anything; add --baseline"),
        (Request(evaluation="none"), "no evaluation 'none'; there are none"),
    ):
        with pytest.raises(RLHFError, match=said):
            label_set(bare, request, store, tell=lambda _: None, catalog=dict)
    same = evaluated_run(tmp_path / "same", [("a", "a")])
    with pytest.raises(RLHFError, match="all 1 pairs are of equal completions"):
        session(same, store)
    with pytest.raises(RLHFError, match="--rater: a name is needed"):
        session(evaluated_run(tmp_path / "mine", TEXTS), store, " ")


def test_a_file_of_ratings_gets_the_same_figures_as_table_and_as_lines(tmp_path: Path) -> None:
    # Cohen's table: 20 + 15 of 50 alike.
    said = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    rows = [
        {"item": str(i), "rater": rater, "rating": value, "prompt": str(i % 10)}
        for i, pair in enumerate(said) for rater, value in zip(("ana", "gpt"), pair, strict=True)
    ]  # fmt: skip
    lines, table = tmp_path / "ratings.jsonl", tmp_path / "ratings.csv"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table.write_text("item,rater,rating,prompt\n" + "".join(",".join(row.values()) + "\n" for row in rows))
    found = rating_statistics(lines, judges=["gpt"])
    assert found == rating_statistics(table, judges=["gpt"])
    assert values(found)["kappa of gpt"] == pytest.approx(0.4)
    assert values(found)["agreement of gpt"] == pytest.approx(0.7)
    assert {figure.estimate.prompts for figure in found.figures} == {10}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"item": 1, "rater": "ana"}\n', r"ratings.jsonl:1: rating: missing"),
        ('\n{"item": 1, "rater": "ana", "rating": 2}\nno\n', r"ratings.jsonl:3: not JSON"),
        ('{"item": 1, "rater": "ana", "rating": 2}\n', r"--judge gpt: no such rater in .*; there are ana"),
    ],
)
def test_a_file_of_ratings_that_says_too_little_is_told_by_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "ratings.jsonl"
    path.write_text(text)
    with pytest.raises(RLHFError, match=said):
        rating_statistics(path, judges=["gpt"])
