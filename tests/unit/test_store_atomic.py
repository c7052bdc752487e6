"""Files and folders are whole or not there."""

from __future__ import annotations

import json

import pytest

from rlhf_core.store.atomic import recover, replace_folder, write_json, write_text


def fill(text):
    return lambda folder: (folder / "a.txt").write_text(text)


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    write_text(tmp_path / "sub" / "a.txt", "one")
    write_text(tmp_path / "sub" / "a.txt", "zwölf")
    assert (tmp_path / "sub" / "a.txt").read_bytes() == "zwölf".encode()
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.txt"]


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}


def test_a_folder_whose_replacement_fails_stays_as_it_was(tmp_path):
    replace_folder(tmp_path / "best", fill("old"))

    def fail(folder):
        (folder / "a.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_folder(tmp_path / "best", fail)
    assert (tmp_path / "best" / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_replacing_a_folder_drops_its_old_files(tmp_path):
    replace_folder(tmp_path / "best", lambda folder: (folder / "old.txt").write_text("old"))
    replace_folder(tmp_path / "best", fill("new"))
    assert [path.name for path in (tmp_path / "best").iterdir()] == ["a.txt"]


def test_a_crash_between_the_two_renames_is_undone(tmp_path):
    replace_folder(tmp_path / "best", fill("old"))
    (tmp_path / "best").rename(tmp_path / ".best.old")
    recover(tmp_path / "best")
    assert (tmp_path / "best" / "a.txt").read_text() == "old"


def test_a_crash_after_the_second_rename_keeps_the_new_folder(tmp_path):
    replace_folder(tmp_path / "best", fill("new"))
    replace_folder(tmp_path / ".best.old", fill("old"))
    recover(tmp_path / "best")
    assert (tmp_path / "best" / "a.txt").read_text() == "new"
    assert not (tmp_path / ".best.old").exists()
