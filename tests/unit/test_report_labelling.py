"""The page on which people compare: what it takes, from whom, and as a person uses it in a real browser."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, size
from label_parts import evaluated_run, served, session

from rlhf_core.report.labelling import LONGEST_BODY, LabelPage
from rlhf_core.store.labels import SQLiteLabels

ATTACK = "<script>window.taken = 1</script><img src=x onerror='window.taken = 2'>"
TEXTS = [(f"the run's {i}", f"the baseline's {i}") for i in range(6)]


@pytest.fixture
def store(tmp_path: Path) -> SQLiteLabels:
    return SQLiteLabels(tmp_path / "labels.sqlite")


def post(server: LabelPage, body: Any, path: str = "/answer", **headers: str) -> tuple[int, str]:
    host = f"127.0.0.1:{server.server_port}"
    connection = http.client.HTTPConnection(host, timeout=10)
    text = body if isinstance(body, str) else json.dumps(body)
    connection.request("POST", path, text, {"Host": host, "Origin": f"http://{host}", **headers})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def get(server: LabelPage, path: str, **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.headers.get("X-Frame-Options", ""), answer.read().decode()


def test_an_item_says_nothing_of_who_wrote_what(tmp_path: Path, store: SQLiteLabels) -> None:
    asking = session(evaluated_run(tmp_path / "mine", [("one", "two")]), store)
    with served(asking) as server:
        item = json.loads(get(server, "/item")[2])
        page = get(server, "/")[2]
    assert {item.pop("left"), item.pop("right")} == {"one", "two"}
    assert item == {"place": 0, "done": 0, "total": 1, "undo": False, "prompt": "say 0"}
    assert "mine" not in page


def test_an_answer_is_on_the_disk_before_the_next_item_is_told(tmp_path: Path, store: SQLiteLabels) -> None:
    run = evaluated_run(tmp_path / "mine", TEXTS)
    with served(session(run, store)) as server:
        for place, choice in enumerate(["left", "both-bad", "skip"]):
            status, told = post(server, {"place": place, "choice": choice})
            assert (status, json.loads(told)["place"]) == (200, place + 1)
            assert [label.choice for label in SQLiteLabels(store.path).labels()][-1] == choice
        again, told = post(server, {"place": 2, "choice": "left"})
        assert (again, json.loads(told)["place"]) == (409, 3)
        assert json.loads(post(server, {"place": 3, "choice": "undo"})[1])["place"] == 2
    assert [label.choice for label in store.labels()] == ["left", "both-bad"]
    # Whoever comes back goes on there.
    assert session(run, SQLiteLabels(store.path)).now()["place"] == 2


def test_nobody_but_the_page_may_write(tmp_path: Path, store: SQLiteLabels) -> None:
    with served(session(evaluated_run(tmp_path / "mine", TEXTS), store)) as server:
        good, port = {"place": 0, "choice": "left"}, server.server_port
        assert server.server_address[0] == "127.0.0.1"
        for headers in (
            {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Host": f"evil.example:{port}"},
            {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
            {"Origin": f"http://127.0.0.1:{port + 1}"},
        ):  # fmt: skip
            assert post(server, good, **headers)[0] == 403
        assert get(server, "/item", Host=f"evil.example:{port}")[0] == 403
        assert get(server, "/")[1] == "DENY"
        assert get(server, "/../labels.sqlite")[0] == 404
        assert post(server, good, path="/")[0] == 404
        for bad in (
            {"place": 0, "choice": "best"}, {"place": "0", "choice": "left"}, {"place": True, "choice": "left"},
            [], "no JSON", "", {"choice": "left" * LONGEST_BODY},
        ):  # fmt: skip
            assert post(server, bad)[0] == 400
        assert store.labels() == []
        assert post(server, good)[0] == 200


def test_a_connection_in_reserve_is_not_answered_after_the_end(tmp_path: Path, store: SQLiteLabels) -> None:
    with served(session(evaluated_run(tmp_path / "mine", TEXTS), store)) as server:
        reserve = socket.create_connection(server.server_address, timeout=10)
        get(server, "/item")  # by then the connection before it was accepted
    host, body = f"127.0.0.1:{server.server_port}", json.dumps({"place": 0, "choice": "left"})
    with reserve, suppress(OSError):
        reserve.sendall(
            f"POST /answer HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        assert reserve.recv(100) == b""
    assert store.labels() == []


def wait(what: Any) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def test_a_person_compares_by_the_keyboard(tmp_path: Path, store: SQLiteLabels) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    run = evaluated_run(tmp_path / "mine", [(ATTACK, "plain"), *TEXTS])
    asking = session(run, store, repeats=1)
    with served(asking) as server, chromium(tmp_path / "profile") as browser:
        browser.get(server.url)

        def shown(name: str) -> str:
            return str(browser.find_element(By.ID, name).get_attribute("textContent"))

        def press(key: str, done: int) -> None:
            browser.find_element(By.TAG_NAME, "body").send_keys(key)
            wait(lambda: shown("progress-text") in (f"{done + 1} of 8", "all 8 done; thank you"))
            assert len(SQLiteLabels(store.path).way(asking.chosen.id, "ana").choices) == done

        wait(lambda: shown("progress-text") == "1 of 8")
        seen = [(shown("left"), shown("right"))]
        for key, done in ((Keys.ARROW_LEFT, 1), (Keys.ARROW_RIGHT, 2), ("t", 3), ("b", 4), ("u", 3), ("s", 4)):
            press(key, done)
            seen.append((shown("left"), shown("right")))
        assert seen[3] == seen[5]
        press("f", 5)
        browser.refresh()
        wait(lambda: shown("progress-text") == "6 of 8")
        browser.find_element(By.CSS_SELECTOR, "[data-choice=left]").click()
        wait(lambda: shown("progress-text") == "7 of 8")
        press("2", 7)
        press("1", 8)
        assert not browser.find_element(By.ID, "item").is_displayed()
        assert not browser.find_element(By.CSS_SELECTOR, "[data-choice=left]").is_enabled()
        press(Keys.BACKSPACE, 7)
        press(Keys.ARROW_DOWN, 8)
        labels = store.labels()
        assert [label.choice for label in labels] == ["left", "right", "tie", "skip", "flag", "left", "right", "tie"]
        for label, (left, right) in zip(labels, seen[:5], strict=False):
            sides = {"run": label.pair.run, "baseline": label.pair.baseline}
            assert (left, right) == (sides[label.left], sides["baseline" if label.left == "run" else "run"])
        assert browser.execute_script("return window.taken ?? null") is None
        # The attack was on the page as a text at some time.
        assert ATTACK in {label.pair.run for label in labels}
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_an_attack_is_shown_as_text_and_a_command_that_ended_is_told(tmp_path: Path, store: SQLiteLabels) -> None:
    from selenium.webdriver.common.by import By

    run = evaluated_run(tmp_path / "mine", [(ATTACK + "w" * 300, ATTACK)])
    with chromium(tmp_path / "profile") as browser:
        with served(session(run, store)) as server:
            browser.get(server.url)
            wait(lambda: browser.find_element(By.ID, "item").is_displayed())
            assert ATTACK in browser.find_element(By.ID, "left").text
            assert ATTACK in browser.find_element(By.ID, "right").text
            assert browser.execute_script("return window.taken ?? null") is None
            assert browser.execute_script("return document.querySelectorAll('#item img, #item script').length") == 0
            for width in (360, 1280):
                size(browser, width)
                assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        browser.find_element(By.TAG_NAME, "body").send_keys("b")
        wait(lambda: "not kept" in browser.find_element(By.ID, "said").text)
        assert browser.find_element(By.ID, "progress-text").text == "1 of 1"
    assert store.labels() == []
