"""The labelled passages' parts, and the start that is repeated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_plugins.shakespeare.dataset import Sentiment, TextStarts, part_of, read_labels
from rlhf_plugins.shakespeare.options import SentimentOptions, TextStartsOptions

PUBLISHED = Path(__file__).parents[3] / "shared/data/shakespeare_sentiment/handcrafted_data.jsonl"
PARTS = ("reward", "judge", "validation")


def write(folder: Path, *lines: str) -> str:
    path = folder / "labels.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return str(path)


def test_parts_share_no_passage_and_leave_none_out(tmp_path: Path) -> None:
    lines = [json.dumps({"sample": f"\nO {i}!", "sentiment": "happy" if i % 2 else "sad"}) for i in range(300)]
    data = Sentiment(SentimentOptions(file=write(tmp_path, *lines)))
    parts = [{row["id"] for row in data.rows(part)} for part in PARTS]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 300
    assert [round(len(part) / 300, 1) for part in parts] == [0.4, 0.4, 0.2]


def test_passages_are_cut_into_pieces_of_equal_length_that_keep_label_and_part(tmp_path: Path) -> None:
    samples = {"\nO joy,\n  and joy again!\nNo end": "happy", "Woe is me": "sad", "Alas": "sad"}
    file = write(tmp_path, *(json.dumps({"sample": sample, "sentiment": label}) for sample, label in samples.items()))
    rows = [row for part in PARTS for row in Sentiment(SentimentOptions(file=file, words=3)).rows(part)]
    assert sorted((str(row["id"]), row["sample"], row["sentiment"]) for row in rows) == [
        ("labels.jsonl:1#1", "\nO joy,\n  and", "happy"),
        ("labels.jsonl:1#2", "\njoy again!\nNo", "happy"),
        ("labels.jsonl:2#1", "\nWoe is me", "sad"),
    ]
    for part in PARTS:
        whole = {str(row["id"]) for row in Sentiment(SentimentOptions(file=file)).rows(part)}
        cut = {str(row["id"]).split("#")[0] for row in Sentiment(SentimentOptions(file=file, words=3)).rows(part)}
        assert cut <= whole


def test_a_copy_in_other_spacing_is_in_the_same_part() -> None:
    assert all(part_of(f"Good night {i}") == part_of(f"\n Good\n  night   {i} ") for i in range(50))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"sample": "O joy"}', "labels.jsonl:2: no column 'sentiment' (columns: sample)"),
        ('{"sample": null, "sentiment": "sad"}', "labels.jsonl:2: sample: expected text, found null"),
        ('{"sample": "O joy", ', "labels.jsonl:2: "),
        ("[]", "labels.jsonl:2: expected an object of columns, found list"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(RLHFError) as error:
        read_labels(write(tmp_path, '{"sample": "O woe", "sentiment": "sad"}', line))
    assert str(error.value).startswith(told)


def test_a_missing_file_says_where_it_is_published(tmp_path: Path) -> None:
    with pytest.raises(RLHFError, match=r"it is published at https://github\.com/ZiyueWang25/RLHF-Shakespeare"):
        read_labels(str(tmp_path / "nowhere.jsonl"))


def test_starts_are_alike_but_for_their_ids_and_draws() -> None:
    rows = [row for split in ("train", "test") for row in TextStarts(TextStartsOptions(count=3)).rows(split)]
    assert {row["prompt"] for row in rows} == {"\n"}
    assert len({row["id"] for row in rows}) == 6
    assert [row["draw"] for row in rows] == [1, 2, 3, 1, 2, 3]


def test_an_unknown_split_names_the_known_ones() -> None:
    with pytest.raises(RLHFError, match="no split 'dev'; there are train, validation, test"):
        list(TextStarts(TextStartsOptions()).rows("dev"))


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published labels are not beside the project")
@pytest.mark.shared_data
def test_each_part_of_the_published_labels_has_both_classes() -> None:
    data = Sentiment(SentimentOptions(file=str(PUBLISHED)))
    counts = {part: [row["sentiment"] for row in data.rows(part)] for part in PARTS}
    assert {part: (labels.count("happy"), labels.count("sad")) for part, labels in counts.items()} == {
        "reward": (58, 57),
        "judge": (49, 50),
        "validation": (29, 25),
    }
