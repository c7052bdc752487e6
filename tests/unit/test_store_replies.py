"""The store of judge replies: nothing that was committed is lost, and nothing that failed is taken for a reply."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.replies import Call, KeptInMemory, ReplyStore, question_key
from rlhf_core.store.replies import SQLiteReplies


def call(key: str, outcome: str = "valid", **given: object) -> Call:
    values = {"judge": "j", "server": "s", "model": "m", "protocol": "p@1", "request": {"messages": ["ä"]}, **given}
    return Call(key=key, outcome=outcome, **values)  # type: ignore[arg-type]


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReplyStore:
    return SQLiteReplies(tmp_path / "new" / "replies.sqlite") if request.param == "file" else KeptInMemory()


def test_the_last_reply_of_a_question_is_found_and_an_error_is_none(store: ReplyStore) -> None:
    assert store.find("k") is None
    store.add(call("k", "error", detail="timeout"))
    assert store.find("k") is None
    store.add(call("k", "invalid", text="prose"))
    store.add(call("k", "valid", text="{}", usd=0.25, seconds=1.5))
    store.add(call("k", "error"))
    assert store.find("k") == call("k", "valid", text="{}", usd=0.25, seconds=1.5)
    assert store.find("other") is None


def test_sums_are_over_every_call(store: ReplyStore) -> None:
    store.add(call("a", prompt_tokens=10, reply_tokens=3, usd=0.5))
    store.add(call("b", "error", possibly_usd=0.125))
    store.add(call("c", prompt_tokens=1, reply_tokens=1, usd=None))
    spent = store.spent()
    assert (spent.calls, spent.prompt_tokens, spent.reply_tokens) == (3, 11, 4)
    assert (spent.usd, spent.possibly_usd) == (0.5, 0.125)
    assert spent.outcomes == {"valid": 2, "error": 1}


def test_what_is_remembered_is_replaced(store: ReplyStore) -> None:
    assert store.recall("manner") is None
    store.remember("manner", {"seed": False})
    store.remember("manner", {"seed": True})
    assert store.recall("manner") == {"seed": True}


def test_a_file_is_read_again_by_another_process_and_by_many_threads(tmp_path: Path) -> None:
    path = tmp_path / "replies.sqlite"
    first, second = SQLiteReplies(path), SQLiteReplies(path)

    def write(store: SQLiteReplies, start: int) -> None:
        for number in range(start, start + 20):
            store.add(call(f"k{number}", text=str(number)))

    threads = [threading.Thread(target=write, args=(store, start)) for store, start in
               [(first, 0), (first, 20), (second, 40), (second, 60)]]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [SQLiteReplies(path).find(f"k{number}") for number in range(80)]
    assert [one.text for one in found if one] == [str(number) for number in range(80)]


def test_what_add_returned_from_outlives_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "replies.sqlite"
    code = (
        "import sys; from pathlib import Path\n"
        "from rlhf_core.contract.replies import Call; from rlhf_core.store.replies import SQLiteReplies\n"
        "store = SQLiteReplies(Path(sys.argv[1]))\n"
        "for n in range(10**6):\n"
        "    store.add(Call(key=str(n), judge='', server='', model='', protocol='', request={}, outcome='valid'))\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(30)]
    os.kill(process.pid, signal.SIGKILL)
    told += process.stdout.readlines()
    process.wait()
    last = int([line for line in told if line.endswith("\n")][-1])
    store = SQLiteReplies(path)
    assert all(store.find(str(number)) for number in range(last + 1))
    assert store.spent().calls - (last + 1) in (0, 1)


def test_a_file_that_is_no_store_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary " * 100)
    with pytest.raises(RLHFError, match=r"notes.txt: is no store of judge replies"):
        SQLiteReplies(path)
    assert path.read_text() == "dear diary " * 100


def test_a_key_depends_on_content_and_not_on_the_order_of_names() -> None:
    assert question_key({"a": 1, "b": [2]}) == question_key({"b": [2], "a": 1})
    assert len({question_key(q) for q in ({"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": [1]}, {"b": 1})}) == 5
