"""Files to raw rows: every way a file can be wrong is told with file, line and mend."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_helpers import needs_shared, shared, write_lines

from rlhf_core.contract.errors import RLHFError
from rlhf_core.data.documents import DocumentRules
from rlhf_core.data.rawrow import BadRow, RawRow
from rlhf_core.data.readers import read


def rows_of(path: Path, **rules: object) -> list[RawRow]:
    found = list(read(path, rules=DocumentRules(**rules)))  # type: ignore[arg-type]
    assert all(isinstance(row, RawRow) for row in found), found
    return [row for row in found if isinstance(row, RawRow)]


def bad_of(path: Path) -> list[str]:
    return [row.message for row in read(path) if isinstance(row, BadRow)]


def failure(path: Path) -> str:
    with pytest.raises(RLHFError) as caught:
        list(read(path))
    return str(caught.value)


def test_json_lines_count_blank_lines_so_that_rows_are_lines(tmp_path: Path) -> None:
    rows = rows_of(write_lines(tmp_path, {"prompt": "a"}, "", {"prompt": "b"}))
    assert [(row.row, row.where, row.columns) for row in rows] == [
        (1, "pairs.jsonl:1", {"prompt": "a"}),
        (3, "pairs.jsonl:3", {"prompt": "b"}),
    ]


def test_a_byte_order_mark_and_windows_line_ends_are_no_content(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a"}\r\n{"prompt": "b"}\r\n')
    assert [row.columns for row in rows_of(path)] == [{"prompt": "a"}, {"prompt": "b"}]


def test_a_line_separator_inside_a_string_does_not_end_the_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path, '{"prompt": "a\u2028b"}')
    assert [row.columns for row in rows_of(path)] == [{"prompt": "a\u2028b"}]


def test_malformed_line_7_is_told_with_its_line_and_the_others_are_read(tmp_path: Path) -> None:
    lines: list[object] = [{"prompt": str(number)} for number in range(8)]
    lines[6] = '{"prompt": "six" "chosen": 1}'
    path = write_lines(tmp_path, *lines)
    assert bad_of(path) == ["pairs.jsonl:7: not JSON (Expecting ',' delimiter at column 18)"]
    assert len([row for row in read(path) if isinstance(row, RawRow)]) == 7


def test_a_line_that_is_no_object_says_what_it_is(tmp_path: Path) -> None:
    path = write_lines(tmp_path, "[1, 2]", "null", '"text"')
    assert bad_of(path) == [
        "pairs.jsonl:1: expected an object of columns, found a list",
        "pairs.jsonl:2: expected an object of columns, found null",
        "pairs.jsonl:3: expected an object of columns, found text ('text')",
    ]


def test_an_array_in_a_jsonl_file_gets_the_hint_to_rename_it(tmp_path: Path) -> None:
    assert (
        "a JSON array over several lines is read from a file named .json"
        in bad_of(write_lines(tmp_path, "[", '{"prompt": "a"}', "]"))[0]
    )


def test_nan_and_a_key_that_stands_twice_are_not_json(tmp_path: Path) -> None:
    path = write_lines(tmp_path, '{"margin": NaN}', '{"prompt": "a", "prompt": "b"}')
    assert bad_of(path) == [
        "pairs.jsonl:1: not JSON (NaN is no JSON number)",
        "pairs.jsonl:2: not JSON (the key 'prompt' stands twice)",
    ]


def test_latin_1_is_told_with_line_byte_and_offset(tmp_path: Path) -> None:
    first = b'{"prompt": "a"}'
    path = write_lines(tmp_path, first, b'{"prompt": "caf\xe9"}')
    offset = len(first) + 1 + len(b'{"prompt": "caf')
    assert bad_of(path) == [
        f"pairs.jsonl:2: not UTF-8 (byte 0xe9 at offset {offset}); "
        "it may be Latin-1 or Windows-1252; save the file as UTF-8"
    ]


@pytest.mark.parametrize("name", ["pairs.json", "pairs.csv", "pairs.txt"])
def test_every_text_format_names_the_line_that_is_not_utf8(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"one\ntwo caf\xe9\n")
    assert failure(tmp_path / name).startswith(f"{name}:2: not UTF-8 (byte 0xe9 at offset 11)")


def test_utf16_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes("prompt\na\n".encode("utf-16"))
    assert "it seems to be UTF-16" in failure(path)


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    for name in ("pairs.jsonl", "pairs.json", "pairs.csv", "pairs.txt"):
        (tmp_path / name).touch()
        assert failure(tmp_path / name).endswith(f"{name}: the file is empty; expected at least one record")


def test_a_missing_file_suggests_its_sibling(tmp_path: Path) -> None:
    write_lines(tmp_path, {"prompt": "a"}, name="my_pairs.jsonl")
    missing = tmp_path / "my_pair.jsonl"
    assert failure(missing) == f"{missing}: no such file; did you mean 'my_pairs.jsonl'?"
    assert "(nor a folder" in failure(tmp_path / "nowhere" / "pairs.jsonl")


def test_a_folder_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    write_lines(tmp_path, {"prompt": "a"})
    assert failure(tmp_path) == f"{tmp_path}: is a folder; name one file; it holds pairs.jsonl"
    (tmp_path / "pairs.dat").write_text("x")
    assert "unknown kind of data file; rename it to one of .jsonl" in failure(tmp_path / "pairs.dat")


def test_a_json_array_keeps_records_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    path.write_text('[\n  {"prompt": "a"},\n  {"prompt":\n   "b"},\n  3\n]\n')
    found = list(read(path))
    assert [row.where for row in found if isinstance(row, RawRow)] == [
        "pairs.json: record 1 (line 2)",
        "pairs.json: record 2 (line 3)",
    ]
    assert bad_of(path) == ["pairs.json: record 3 (line 5): expected an object of columns, found a number (3)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1},\n{"a": }]', "pairs.json:2: not JSON (Expecting value at line 2, column 7)"),
        ('[{"a": 1}\n{"a": 2}]', "pairs.json:1: not JSON (',' or ']' expected after the record, found '{')"),
        ('[{"a": 1},', "pairs.json: the array is never closed: ']' is missing after record 1; is the file cut off?"),
        ('[{"a": 1},]', "pairs.json:1: not JSON (a ',' after the last record)"),
        ('[{"a": 1}] tail', "pairs.json: text after the end of the array: 'tail'"),
        ('"text"', "pairs.json: expected an array of objects, found it to start with '\"'"),
    ],
)
def test_a_broken_array_stops_at_the_break(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pairs.json").write_text(text)
    assert failure(tmp_path / "pairs.json") == message


def test_objects_one_after_another_in_a_json_file_are_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path, {"prompt": "a"}, {"prompt": "b"}, name="pairs.json")
    assert [row.columns for row in rows_of(path)] == [{"prompt": "a"}, {"prompt": "b"}]


def test_csv_cells_may_hold_commas_quotes_and_lines_and_line_numbers_stay_true(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text('\ufeffprompt,completion\n"a, ""b""\nc",d\n\ne,f\n')
    rows = rows_of(path)
    assert [row.columns for row in rows] == [
        {"prompt": 'a, "b"\nc', "completion": "d"},
        {"prompt": "e", "completion": "f"},
    ]
    assert [row.where for row in rows] == ["pairs.csv: record 1 (line 2)", "pairs.csv: record 2 (line 5)"]


def test_csv_says_what_is_wrong_with_header_and_cells(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("prompt,completion\na,b,c\n")
    assert bad_of(path) == [
        "pairs.csv: record 1 (line 2): expected 2 cells (prompt, completion), found 3; put cells with commas in quotes"
    ]
    path.write_text("prompt,prompt\na,b\n")
    assert failure(path) == "pairs.csv:1: the column 'prompt' stands twice in the header"
    path.write_text('prompt,completion\na,"b\nc\n')
    assert failure(path) == "pairs.csv: record 1 (line 2): not CSV (unexpected end of data)"


def test_a_tsv_is_cut_at_tabs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("prompt\tcompletion\na, b\tc\n")
    assert rows_of(path)[0].columns == {"prompt": "a, b", "completion": "c"}


TEXT = "head\n*** START ***\n\none\ntwo\n\n\nthree\n*** END ***\ntail\n"


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ("paragraphs", [(4, "one\ntwo"), (8, "three")]),
        ("lines", [(4, "one"), (5, "two"), (8, "three")]),
        ("file", [(4, "one\ntwo\n\n\nthree")]),
        (5, [(4, "one\ntwo"), (8, "three")]),
        (20, [(4, "one\ntwo\n\n\nthree")]),
    ],
)
def test_text_is_cut_into_the_documents_asked_for(tmp_path: Path, documents: object, expected: object) -> None:
    path = tmp_path / "play.txt"
    path.write_text(TEXT)
    rows = rows_of(path, documents=documents, start_after="*** START", end_before="*** END")
    assert [(row.row, row.columns["text"]) for row in rows] == expected


def test_a_mark_that_stands_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "play.txt").write_text(TEXT)
    with pytest.raises(RLHFError, match=r"play.txt: start_after: no line contains 'BEGIN'"):
        list(read(tmp_path / "play.txt", rules=DocumentRules(start_after="BEGIN")))


def test_parquet_rows_come_as_json_values(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    columns = {"prompt": ["a", None], "messages": [[{"role": "user", "content": "x"}], []], "margin": [0.5, 1.0]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "pairs.parquet")
    rows = rows_of(tmp_path / "pairs.parquet")
    assert [row.where for row in rows] == ["pairs.parquet: record 1", "pairs.parquet: record 2"]
    assert rows[0].columns == {"prompt": "a", "messages": [{"role": "user", "content": "x"}], "margin": 0.5}
    assert rows[1].columns["prompt"] is None


def test_a_file_that_is_no_parquet_says_so(tmp_path: Path) -> None:
    (tmp_path / "pairs.parquet").write_text("no parquet")
    assert failure(tmp_path / "pairs.parquet").startswith("pairs.parquet: cannot be read as Parquet (")


@needs_shared
@pytest.mark.shared_data
def test_published_files_give_their_published_number_of_records() -> None:
    counts = {
        "alpaca_en_demo/alpaca_en_demo.json": 999,
        "dpo_en_demo/dpo_en_demo.json": 300,
        "puns_jacksonpaull/Pun_Dataset.json": 114,
        "shakespeare_sentiment/handcrafted_data.jsonl": 268,
    }
    assert {path: len(rows_of(shared(path))) for path in counts} == counts
