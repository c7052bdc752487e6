"""From the recipe's data section to records and rows, with all that was left out counted and named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from data_helpers import byte_tokenizer, load, needs_shared, no_datasets, shared, write_lines

from rlhf_core.contract.errors import Problems, RLHFError
from rlhf_core.contract.records import JSON, Demonstration, Labelled, Preference, PromptRecord, Text, prompt_text
from rlhf_core.contract.rows import LabelledRow
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.loading import encode, load_records
from rlhf_core.data.options import DataOptions, TemplateOptions
from rlhf_core.data.report import Lengths
from rlhf_core.data.showing import MarkedText, marked_texts

PLAIN = TemplateOptions(prompt="{prompt}", completion="{completion}")


def pair(number: int, **columns: Any) -> dict[str, Any]:
    return {"prompt": f"p{number}", "chosen": f"good {number}", "rejected": f"bad {number}", **columns}


def codec_of(context: int = 100, *, bos: bool = False, **more: Any) -> TextCodec:
    return TextCodec(byte_tokenizer(bos=bos), PLAIN, context_length=context, **more)


def test_bad_rows_are_told_all_at_once_with_the_mend(tmp_path: Path) -> None:
    write_lines(tmp_path, pair(1), "{broken", pair(3, chosen=None), {"prompt": "p4", "chosen": "c"}, pair(5))
    with pytest.raises(Problems) as caught:
        load(tmp_path, Preference)
    assert caught.value.problems == (
        "pairs.jsonl:2: not JSON (Expecting property name enclosed in double quotes at column 2)",
        "pairs.jsonl:3: chosen: expected text, found null",
        "pairs.jsonl:4: rejected: no such column in this row (columns: prompt, chosen)",
    )
    assert caught.value.mend == "3 bad rows: mend them, or leave bad rows out with data.bad_rows: drop"
    assert str(caught.value).splitlines() == [*caught.value.problems, caught.value.mend]
    assert caught.value.exit_code == 2


def test_of_many_bad_rows_the_first_ten_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    write_lines(tmp_path, *[pair(n) for n in range(30)], *[pair(n, chosen=n) for n in range(23)])
    with pytest.raises(Problems) as caught:
        load(tmp_path, Preference)
    assert len(caught.value.problems) == 11
    assert caught.value.problems[0] == "pairs.jsonl:31: chosen: expected text, found a number (0)"
    assert caught.value.problems[10] == "… and 13 more"
    assert caught.value.mend == "23 bad rows: mend them, or leave bad rows out with data.bad_rows: drop"


def test_bad_rows_may_be_left_out_and_are_then_counted_and_named(tmp_path: Path) -> None:
    write_lines(tmp_path, pair(1), "{broken", pair(3))
    loaded = load(tmp_path, Preference, bad_rows="drop")
    assert [record.id for record in loaded.records] == ["pairs.jsonl:1", "pairs.jsonl:3"]
    assert (loaded.report.read, loaded.report.kept) == (3, 2)
    assert loaded.report.lines()[1].startswith("1 dropped, bad row: pairs.jsonl:2: not JSON")


def test_rows_that_teach_nothing_are_dropped_counted_and_said(tmp_path: Path) -> None:
    same = {"prompt": "p", "chosen": "x", "rejected": "x"}
    write_lines(tmp_path, pair(1), *[same] * 7, pair(9, rejected=""))
    report = load(tmp_path, Preference).report
    assert report.lines() == [
        "1 record of 9 rows",
        f"7 dropped, chosen equals rejected: {', '.join(f'pairs.jsonl:{row}' for row in range(2, 7))}, …",
        "1 dropped, empty rejected: pairs.jsonl:9",
    ]
    assert json.loads(json.dumps(report.as_json()))["dropped"]["chosen equals rejected"]["count"] == 7


def test_nothing_left_says_why(tmp_path: Path) -> None:
    write_lines(tmp_path, {"prompt": "p", "chosen": "x", "rejected": "x"})
    with pytest.raises(RLHFError, match=r"^pairs.jsonl: no record is left of 1 read \(1 chosen equals rejected\)$"):
        load(tmp_path, Preference)
    (tmp_path / "head.csv").write_text("prompt,chosen,rejected\n")
    with pytest.raises(RLHFError, match=r"^head.csv: holds no rows; expected at least one record$"):
        load(tmp_path, Preference, sources=[{"path": "head.csv"}])


def test_nothing_left_says_why_where_a_share_is_to_be_held_out(tmp_path: Path) -> None:
    write_lines(tmp_path, {"prompt": "p", "chosen": "x", "rejected": "x"})
    with pytest.raises(RLHFError, match=r"no record is left of 1 read \(1 chosen equals rejected\)$"):
        load(tmp_path, Preference, validation={"fraction": 0.5})


def test_ids_must_be_unique_over_all_sources(tmp_path: Path) -> None:
    write_lines(tmp_path, pair(1, id="a"), pair(2, id="b"), pair(3, id="a"))
    with pytest.raises(RLHFError, match=r"the id 'a' stands 2 times \(1 ids are not unique\); make the column 'id'"):
        load(tmp_path, Preference)


def test_files_of_one_name_in_two_folders_have_different_ids(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_lines(tmp_path / folder, pair(1))
    sources = [{"path": "a/pairs.jsonl"}, {"path": "b/pairs.jsonl"}, {"path": "b/pairs.jsonl"}]
    records = load(tmp_path, Preference, sources=sources).records
    assert [record.id for record in records] == ["a/pairs.jsonl:1", "b/pairs.jsonl:1", "b/pairs.jsonl(2):1"]


def test_held_out_prompts_never_stand_on_both_sides(tmp_path: Path) -> None:
    write_lines(tmp_path, *[pair(n % 40, chosen=f"c{n}") for n in range(120)])  # three rows per prompt
    options = {"validation": {"fraction": 0.25}}
    train, held = load(tmp_path, Preference, **options), load(tmp_path, Preference, "validation", **options)
    prompts = [{prompt_text(record.prompt) for record in loaded.records} for loaded in (train, held)]
    assert prompts[0] & prompts[1] == set()
    assert len(prompts[0] | prompts[1]) == 40
    assert len(train.records) + len(held.records) == 120
    assert len(held.records) == 3 * len(prompts[1]) > 0
    assert train.report.notes == [f"{len(prompts[1])} of 40 prompts are held out for validation"]
    as_prompts = load(tmp_path, PromptRecord, "validation", **options).records
    assert {prompt_text(record.prompt) for record in as_prompts} == prompts[1]  # the same prompts in every stage


def test_validation_sources_are_read_for_validation_alone(tmp_path: Path) -> None:
    write_lines(tmp_path, pair(1), pair(2))
    write_lines(tmp_path, *[pair(n) for n in range(3, 9)], name="held.jsonl")
    options = {"validation": {"sources": [{"path": "held.jsonl"}], "limit": 4}, "limit": 1}
    assert [record.id for record in load(tmp_path, Preference, **options).records] == ["pairs.jsonl:1"]
    assert len(load(tmp_path, Preference, "validation", **options).records) == 4
    assert load(tmp_path, Preference, "validation").records == []


def test_a_split_of_a_file_is_its_column(tmp_path: Path) -> None:
    write_lines(tmp_path, pair(1, split="train"), pair(2, split="test"))
    source = {"path": "pairs.jsonl", "split": "test"}
    assert [record.id for record in load(tmp_path, Preference, sources=[source]).records] == ["pairs.jsonl:2"]
    with pytest.raises(RLHFError, match=r"no row of the split 'dev'; the column 'split' has test, train"):
        load(tmp_path, Preference, sources=[{**source, "split": "dev"}])
    write_lines(tmp_path, pair(1))
    with pytest.raises(RLHFError, match=r"pairs.jsonl:1: split: test takes the rows whose column 'split' says so"):
        load(tmp_path, Preference, sources=[source])


def test_the_fingerprint_is_of_the_content_not_of_the_name(tmp_path: Path) -> None:
    write_lines(tmp_path, pair(1), pair(2))
    write_lines(tmp_path, pair(1), pair(2), name="copy.jsonl")
    write_lines(tmp_path, pair(1), pair(3), name="other.jsonl")
    prints = [
        load(tmp_path, Preference, sources=[{"path": name}]).report.fingerprint
        for name in ("pairs.jsonl", "copy.jsonl", "other.jsonl")
    ]
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 64


class Squares:
    """A data set as a plugin brings it."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.count = options["count"]

    def rows(self, split: str) -> Iterator[Mapping[str, JSON]]:
        for number in range(self.count):
            yield {"prompt": f"{split} {number}²", "completion": str(number**2)}


def test_a_plugins_data_set_gets_its_options_and_split(tmp_path: Path) -> None:
    options = DataOptions.model_validate({"sources": [{"source": "squares", "count": 3, "split": "test"}]})
    asked = []

    def open_dataset(name: str, own: Mapping[str, Any]) -> Squares:
        asked.append((name, own))
        return Squares(own)

    loaded = load_records(options, Demonstration, split="train", folder=tmp_path, open_dataset=open_dataset)
    assert asked == [("squares", {"count": 3})]
    assert [(r.id, r.prompt, r.completion) for r in loaded.records][2] == ("squares:3", "test 2²", "4")


def test_a_hub_data_set_is_read_by_the_hubs_own_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_lines(tmp_path, pair(1), pair(2), name="train.jsonl")
    name = str(tmp_path)  # the loader takes a folder in place of a name, so that this needs no network
    records = load(tmp_path, Preference, sources=[{"hub": name}]).records
    assert [(record.id, record.chosen) for record in records] == [(f"{name}:1", "good 1"), (f"{name}:2", "good 2")]
    with pytest.raises(
        RLHFError, match=r"the hub data set \(split 'dev'\) cannot be loaded: .*check the name, the split"
    ):
        load(tmp_path, Preference, sources=[{"hub": name, "split": "dev"}])


def test_sources_are_mixed_by_weight_and_counted(tmp_path: Path) -> None:
    write_lines(tmp_path, *[pair(n) for n in range(8)])
    write_lines(tmp_path, pair(1), pair(2), name="few.jsonl")
    sources = [{"path": "pairs.jsonl"}, {"path": "few.jsonl", "weight": 1.0}]
    loaded = load(tmp_path, Preference, sources=sources)
    assert loaded.report.sources == {"pairs.jsonl": 5, "few.jsonl": 5}
    assert loaded.report.lines()[0] == "10 records of 10 rows (pairs.jsonl 5, few.jsonl 5)"
    assert len({record.id for record in loaded.records}) == 10


def test_records_that_do_not_fit_are_dropped_with_their_ids(tmp_path: Path) -> None:
    write_lines(tmp_path, pair(1), pair(2, prompt="x" * 20), pair(3, chosen="same A", rejected="same B"))
    loaded = load(tmp_path, Preference)
    encoded = encode(loaded.records, codec_of(15, max_completion_tokens=5), report=loaded.report)
    assert [row.record_id for row in encoded.rows] == ["pairs.jsonl:1"]
    assert list(encoded.by_id) == ["pairs.jsonl:1"]
    assert encoded.report.lines() == [
        "1 record of 3 rows",
        "1 dropped, chosen equals rejected after truncation: pairs.jsonl:3",
        "1 dropped, prompt too long: pairs.jsonl:2",
        "2 completions cut at their length limit, without EOS",
    ]
    assert loaded.report.kept == 3  # the report of loading stays what it was


def test_when_no_record_fits_the_message_says_why(tmp_path: Path) -> None:
    write_lines(tmp_path, pair(1), pair(2))
    with pytest.raises(
        RLHFError, match=r"none of 2 records can be trained on; the first: pairs.jsonl:1: the prompt has"
    ):
        encode(load(tmp_path, Preference).records, codec_of(2))


def test_lengths_and_special_strings_are_reported() -> None:
    records = [
        Demonstration(id="1", prompt="ab", completion="c"),
        Demonstration(id="2", prompt="abcd", completion="</s>"),
    ]
    report = encode(records, codec_of()).report
    assert report.prompt_tokens == Lengths(count=2, shortest=2, mean=3.0, longest=4, histogram={"2": 1, "3-4": 1})
    assert report.completion_tokens == Lengths(2, 2, 3.5, 5, {"2": 1, "5-8": 1})
    assert report.lines()[1] == "1 record with the string of a special token, kept as plain text"


def test_labels_are_numbered_in_their_sorted_order() -> None:
    records = [Labelled(id=str(n), text=f"t{n}", label=label) for n, label in enumerate(["sad", "happy", "sad"])]
    rows = encode(records, codec_of()).rows
    assert [row.label for row in rows if isinstance(row, LabelledRow)] == [1, 0, 1]
    assert [row.label for row in encode(records, codec_of(), labels=["a", "happy", "sad"]).rows] == [2, 1, 2]  # type: ignore[attr-defined]


@pytest.mark.parametrize("bos", [False, True])
def test_text_becomes_blocks_that_lose_and_repeat_no_token(bos: bool) -> None:
    codec = codec_of(6, bos=bos)
    records = [Text(id=f"t:{n}", text=text) for n, text in enumerate(["abcdefgh", "ij", "k"])]
    encoded = encode(records, codec)
    assert all(row.prompt == (codec.bos,) for row in encoded.rows)
    stream = "".join(codec.piece(row.completions[0]) for row in encoded.rows)
    # BOS parts documents inside a block where it is another token than EOS; a block's own BOS is its prompt.
    assert stream == ("abcdefgh</s><s>ij</s><s>k</s>" if bos else "abcdefgh</s>ij</s>k</s>")
    assert [len(row.completions[0]) for row in encoded.rows] == ([5, 5, 5, 1] if bos else [5, 5, 4])
    assert [row.record_id for row in encoded.rows][:2] == ["t:0#block1", "t:0#block2"]
    assert encoded.by_id["t:0#block2"] is records[0]


@pytest.mark.parametrize("bos", [False, True])
def test_text_by_document_starts_each_row_anew_and_cuts_what_is_longer(bos: bool) -> None:
    codec = codec_of(6, bos=bos)
    records = [Text(id=f"t:{n}", text=text) for n, text in enumerate(["abcdefgh", "ij"])]
    encoded = encode(records, codec, text_rows="documents")
    assert [codec.piece(row.completions[0]) for row in encoded.rows] == ["abcde", "fgh</s>", "ij</s>"]
    assert all(row.prompt == (codec.bos,) for row in encoded.rows)
    assert encoded.by_id[encoded.rows[2].record_id] is records[1]


@pytest.mark.parametrize("bos", [False, True])
def test_text_that_does_not_end_runs_on_behind_a_blank_line(bos: bool) -> None:
    codec = codec_of(6, bos=bos, end_texts=False)
    records = [Text(id=f"t:{n}", text=text) for n, text in enumerate(["abcdefg", "ij"])]
    encoded = encode(records, codec)
    assert [codec.piece(row.completions[0]) for row in encoded.rows] == ["abcde", "fg\n\ni", "j"]
    assert not any({codec.eos, codec.bos} & set(row.completions[0]) for row in encoded.rows)
    by_document = encode(records, codec, text_rows="documents").rows
    assert [codec.piece(row.completions[0]) for row in by_document] == ["abcde", "fg", "ij"]


def test_the_tokens_that_are_trained_on_are_marked() -> None:
    codec = codec_of()
    row = codec.encode(Preference(id="1", prompt="p", chosen="é", rejected="no"))
    chosen, rejected = marked_texts(row, codec.piece)
    assert chosen == [MarkedText("p", False), MarkedText("é", True, tokens=2), MarkedText("</s>", True)]
    assert "".join(piece.text for piece in rejected if piece.trained) == "no</s>"
    bare = marked_texts(codec.encode(PromptRecord(id="1", prompt="p")), codec.piece)
    assert bare == [[MarkedText("p", False)]]


@needs_shared
@pytest.mark.shared_data
class TestPublishedData:
    """The real files, their real shape, GPT-2's real tokens."""

    @pytest.fixture(scope="class")
    def codec(self) -> TextCodec:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(shared("models/gpt2-tokenizer"))
        return TextCodec(tokenizer, TemplateOptions(), context_length=1024)

    def load(self, path: str, record_class: Any, **source: Any) -> list[Any]:
        options = DataOptions.model_validate({"sources": [{"path": path, **source}]})
        return load_records(options, record_class, split="train", folder=shared("."), open_dataset=no_datasets).records

    def test_puns_have_both_layouts(self, codec: TextCodec) -> None:
        encoded = encode(self.load("puns_jacksonpaull/Pun_Dataset.json", Demonstration), codec)
        texts = [codec.piece((*row.prompt, *row.completions[0])) for row in encoded.rows]
        assert sum("\n\nAssistant: Sure thing!\nA: " in text for text in texts) == 114 - 31
        assert texts[0] == (
            "Human: make a pun about listening to a piano concert\n\nAssistant: Sure thing!\n"
            "A: hey, i heard you were acting weird at the concert.\n"
            "B: i bached. i had been listening to the brandenburg concertos<|endoftext|>"
        )
        assert encoded.report.drifted == 0

    def test_long_preference_chats_are_dropped_or_cut_and_every_number_adds_up(self, codec: TextCodec) -> None:
        records = self.load("dpo_en_demo/dpo_en_demo.json", Preference)
        encoded = encode(records, codec)
        report = encoded.report
        dropped = sum(found.count for found in report.dropped.values())
        assert len(records) == 300 == report.kept + dropped
        assert report.dropped["prompt too long"].count == 41
        assert max(len(row.prompt) + max(map(len, row.completions)) for row in encoded.rows) == 1024

    def test_alpaca_and_sentiment_are_read_as_they_are(self, codec: TextCodec) -> None:
        assert len(self.load("alpaca_en_demo/alpaca_en_demo.json", Demonstration)) == 999
        labelled = encode(self.load("shakespeare_sentiment/handcrafted_data.jsonl", Labelled), codec).rows
        assert sum(row.label == 0 for row in labelled if isinstance(row, LabelledRow)) == 136

    def test_shakespeare_is_read_without_the_publishers_words(self) -> None:
        marks = {"start_after": "*** START OF", "end_before": "*** END OF"}
        (play,) = self.load("shakespeare_gutenberg_100/100-0.txt", Text, documents="file", **marks)
        assert play.id == "100-0.txt:32"
        assert "Project Gutenberg EBook" not in play.text
        assert len(play.text) > 5_600_000
