"""The published puns: whose rows they are, how they are split, and what a wrong file is told."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.records import Demonstration, Message, Preference, PromptRecord
from rlhf_core.data.loading import load_records
from rlhf_core.data.options import DataOptions
from rlhf_plugins.published_puns.dataset import PublishedPuns, plain_answers
from rlhf_plugins.published_puns.options import PublishedPunsOptions
from rlhf_plugins.published_puns.records import PublishedPun, read

PUBLISHED = Path(__file__).parents[3] / "shared/data/puns_jacksonpaull/Pun_Dataset.json"
SPLITS = ("train", "validation", "test")

needs_published = pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published pun file is not beside the project")


def answers() -> list[dict[str, str]]:
    text = files("rlhf_core.res").joinpath("puns", "plain_answers.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def write(folder: Path, rows: object) -> str:
    path = folder / "puns.json"
    path.write_text(json.dumps(rows), "utf-8")
    return str(path)


def a_record(**columns: object) -> dict[str, object]:
    return {
        "Direct Prompt": "make a pun about bells",
        "Example Response": "that rings true",
        "Original": "Yes",
        **columns,
    }


def all_rows(file: str, view: str) -> list[dict[str, object]]:
    dataset = PublishedPuns(PublishedPunsOptions.model_validate({"file": file, "view": view}))
    return [dict(row) for split in SPLITS for row in dataset.rows(split)]


def loaded(file: str, record_class: type, split: str = "train") -> list:
    options = DataOptions.model_validate({"sources": [{"source": "published-puns", "split": split}]})
    dataset = PublishedPuns(PublishedPunsOptions(file=file))
    return load_records(
        options, record_class, split="train", folder=Path.cwd(), open_dataset=lambda _name, _given: dataset
    ).records


def test_114_different_plain_answers_stand_beside_hashes_alone() -> None:
    rows = answers()
    assert len(rows) == 114
    assert len({row["plain"] for row in rows}) == 114
    assert all(set(row) == {"prompt_sha256", "plain"} and len(row["prompt_sha256"]) == 64 for row in rows)


def test_a_prompt_is_the_same_in_another_case_and_spacing() -> None:
    one = PublishedPun(1, "make a pun about bells", None, "x")
    other = PublishedPun(2, "  Make a pun\nabout  BELLS ", None, "y")
    assert one.key == other.key == hashlib.sha256(b"make a pun about bells").hexdigest()


def test_a_conversation_is_an_answer_that_has_begun(tmp_path: Path) -> None:
    file = write(tmp_path, [a_record(**{"Conversation Prompt": " who is there? "})])
    (row,) = all_rows(file, "demonstrations")
    assert row["prompt"] == [
        {"role": "user", "content": "make a pun about bells"},
        {"role": "assistant", "content": "Sure thing!\nA: who is there?\nB:"},
    ]
    assert row["completion"] == "that rings true"


def test_conversations_can_be_left_out(tmp_path: Path) -> None:
    file = write(tmp_path, [a_record(**{"Conversation Prompt": "who is there?"})])
    dataset = PublishedPuns(PublishedPunsOptions(file=file, view="prompts", conversation=False))
    assert [row["prompt"] for split in SPLITS for row in dataset.rows(split)] == ["make a pun about bells"]


@pytest.mark.parametrize("absent", [None, "", "  "])
def test_without_a_conversation_the_request_is_the_prompt(tmp_path: Path, absent: str | None) -> None:
    (row,) = all_rows(write(tmp_path, [a_record(**{"Conversation Prompt": absent})]), "prompts")
    assert row == {"id": "pun-1", "prompt": "make a pun about bells"}


def test_records_on_one_prompt_are_in_one_split(tmp_path: Path) -> None:
    rows = [a_record(**{"Direct Prompt": f"make a pun about {i // 2}"}) for i in range(200)]
    file = write(tmp_path, rows)
    dataset = PublishedPuns(PublishedPunsOptions(file=file, view="prompts"))
    prompts = [{row["prompt"] for row in dataset.rows(split)} for split in SPLITS]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 100
    assert 60 <= len(prompts[0]) <= 80


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (a_record(**{"Example Response": None}), "record 2: Example Response: expected text, found null"),
        (a_record(**{"Direct Prompt": 7}), "record 2: Direct Prompt: expected text, found 7"),
        (a_record(**{"Conversation Prompt": ["a"]}), "record 2: Conversation Prompt: expected text or nothing"),
        ({"Direct Prompt": "x"}, "record 2: no column 'Example Response' (columns: Direct Prompt)"),
        ("text", "record 2: expected an object of columns, found str"),
    ],
)
def test_a_bad_record_is_named(tmp_path: Path, row: object, told: str) -> None:
    with pytest.raises(RLHFError) as error:
        read(write(tmp_path, [a_record(), row]))
    assert "puns.json: " + told in str(error.value)


def test_a_missing_file_says_where_it_is_published(tmp_path: Path) -> None:
    with pytest.raises(RLHFError, match=r"no file .*nowhere\.json; take it from https://github\.com/JacksonPaull/RLHF"):
        read(str(tmp_path / "nowhere.json"))


def test_pairs_of_another_file_are_refused_and_its_demonstrations_are_not(tmp_path: Path) -> None:
    file = write(tmp_path, [a_record()])
    with pytest.raises(RLHFError, match="record 1: no plain answer for this prompt: 'make a pun about bells'"):
        all_rows(file, "pairs")
    assert len(all_rows(file, "demonstrations")) == 1


@needs_published
@pytest.mark.shared_data
def test_every_published_record_has_its_own_plain_answer() -> None:
    records = read(str(PUBLISHED))
    assert len(records) == 114
    assert sum(record.conversation is None for record in records) == 31
    plain = plain_answers(records)
    assert [plain[record.row] for record in records] == [row["plain"] for row in answers()]


@needs_published
@pytest.mark.shared_data
def test_our_answers_repeat_no_published_line() -> None:
    published = {record.response.lower() for record in read(str(PUBLISHED))}
    published |= {record.conversation.lower() for record in read(str(PUBLISHED)) if record.conversation}
    runs = {tuple(words[i : i + 6]) for line in published for words in [line.split()] for i in range(len(words) - 5)}
    for row in answers():
        words = row["plain"].split()
        assert not runs & {tuple(words[i : i + 6]) for i in range(len(words) - 5)}, row["plain"]


@needs_published
@pytest.mark.shared_data
def test_plain_answers_are_about_as_long_as_the_puns() -> None:
    pairs = all_rows(str(PUBLISHED), "pairs")
    lengths = [(len(str(row["chosen"]).split()), len(str(row["rejected"]).split())) for row in pairs]
    assert len(lengths) == 114
    assert max(abs(chosen - rejected) for chosen, rejected in lengths) <= 8
    chosen, rejected = (sum(side) / 114 for side in zip(*lengths, strict=True))
    assert abs(chosen - rejected) < 1.0


@needs_published
@pytest.mark.shared_data
def test_one_view_serves_every_stage() -> None:
    pairs = loaded(str(PUBLISHED), Preference)
    demonstrations = loaded(str(PUBLISHED), Demonstration)
    prompts = loaded(str(PUBLISHED), PromptRecord)
    assert len(pairs) == len(demonstrations) == len(prompts) == 79
    assert [one.chosen for one in pairs] == [one.completion for one in demonstrations]
    begun = [one.prompt[-1] for one in prompts if not isinstance(one.prompt, str)]
    assert all(isinstance(turn, Message) and turn.content.endswith("\nB:") for turn in begun)
