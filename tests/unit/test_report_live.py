"""A page that follows a run: what it serves, to whom, and how the reader's browser takes it."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium
from report_parts import METRICS, SAMPLES

from rlhf_core.contract.errors import RLHFError
from rlhf_core.recipe.pages.contents import stage_content
from rlhf_core.recipe.pages.watching import watch
from rlhf_core.report.live import LivePage
from rlhf_core.store.run import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that has just begun."""
    run = RunFolder.create(tmp_path / "ppo", info={"algo": "ppo"}, recipe="stages: [{algo: ppo}]\n")
    run.append_metrics(METRICS[0])
    run.append_samples(SAMPLES[:2])
    return run


@pytest.fixture
def server(run: RunFolder) -> Iterator[LivePage]:
    with watch(str(run.path), 0, print) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def ask(server: LivePage, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """(status, ETag, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.headers.get("ETag", ""), answer.read().decode()


def test_the_page_is_served_and_told_unchanged_until_the_run_goes_on(run: RunFolder, server: LivePage) -> None:
    status, mark, page = ask(server)
    assert status == 200
    assert "ppo, running" in page
    assert ask(server, If_None_Match=mark)[::2] == (304, "")
    run.append_metrics(METRICS[1])
    assert ask(server, If_None_Match=mark)[0] == 200


def test_other_hosts_other_paths_and_writing_are_refused(server: LivePage) -> None:
    port = server.server_port
    assert server.server_address[0] == "127.0.0.1"
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}", ""):
        status, _, body = ask(server, Host=host)
        assert (status, "ppo" in body) == (403, False)
    assert ask(server, Host=f"localhost:{port}")[0] == 200
    assert ask(server, path="/run.json")[0] == 404
    assert ask(server, path="/../run.json")[0] == 404
    assert ask(server, method="POST")[0] == 501


@pytest.mark.parametrize(
    ("status", "shown"), [("finished", "ppo, finished"), ("failed", "the loss is nan"), ("stopped", "ppo, stopped")]
)
def test_a_run_that_ended_is_shown_as_it_ended(run: RunFolder, server: LivePage, status: str, shown: str) -> None:
    run.update(status=status, error="the loss is nan" if status == "failed" else None)
    assert shown in ask(server)[2]


def test_a_line_that_is_half_written_waits_for_its_end(run: RunFolder, server: LivePage) -> None:
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1, "split": "tr')
    assert ask(server)[0] == 200


def test_a_run_that_cannot_be_read_is_told_and_the_page_goes_on(run: RunFolder, server: LivePage) -> None:
    good = (run.path / "metrics.jsonl").read_text()
    (run.path / "metrics.jsonl").write_text("no JSON\n")
    status, _, body = ask(server)
    assert (status, "metrics.jsonl:1: not JSON" in body) == (503, True)
    (run.path / "metrics.jsonl").write_text(good)
    assert ask(server)[0] == 200


def test_watching_does_not_put_folders_right_that_a_training_is_replacing(run: RunFolder, server: LivePage) -> None:
    (run.path / ".model.old").mkdir()  # between the two renames of a replacement
    run.append_metrics(METRICS[1])
    assert ask(server)[0] == 200
    assert (run.path / ".model.old").is_dir()


def test_no_such_run_is_told_before_anything_is_served(tmp_path: Path) -> None:
    with pytest.raises(RLHFError, match="no run there"):
        watch(str(tmp_path / "nowhere"), 0, print)


def wait(what: Any) -> None:
    until = time.monotonic() + 30
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.1)


def test_the_browser_takes_over_what_is_new_and_keeps_what_the_reader_did(
    run: RunFolder, server: LivePage, tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By

    run.append_samples(SAMPLES[2:])
    run.append_metrics(METRICS[1])
    with chromium(tmp_path / "profile") as browser:
        browser.get(server.url)
        browser.find_element(By.ID, "stage-1-texts-search").send_keys("kneaded")
        browser.execute_script("document.getElementById('stage-1-config').open = true; window.scrollTo(0, 200)")
        charts = len(browser.find_elements(By.TAG_NAME, "svg"))
        place = browser.execute_script("return window.scrollY")
        for row in METRICS[2:]:
            run.append_metrics(row)
        run.append_samples([{**row, "step": 3, "completion": f"{row['completion']} again"} for row in SAMPLES[2:]])
        run.update(step=2, steps=9)
        wait(lambda: "2 of 9" in browser.find_element(By.TAG_NAME, "main").text)
        assert browser.find_element(By.ID, "stage-1-texts-search").get_attribute("value") == "kneaded"
        shown = browser.execute_script(
            "return [...document.querySelector('[data-part=stage-1-texts]').rows].filter(r => !r.hidden)"
            ".map(r => r.cells[2].textContent)"
        )
        assert shown == ["the baker kneaded <b>dough</b> again"]
        assert len(browser.find_elements(By.TAG_NAME, "svg")) >= charts
        assert browser.execute_script("return document.getElementById('stage-1-config').open")
        assert browser.execute_script("return window.scrollY") == place
        server.shutdown()
        server.server_close()
        wait(lambda: "has ended" in browser.find_element(By.CSS_SELECTOR, ".live").text)


def take_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_command_prints_its_address_and_ends_cleanly_by_ctrl_c(run: RunFolder) -> None:
    words = [sys.executable, "-u", "-m", "rlhf_core.cli.main", "report", "--watch", str(run.path)]
    # A test run in the background of a shell ignores SIGINT, and what it starts would inherit that.
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=take_ctrl_c
    ) as command:
        try:
            assert command.stdout is not None
            url = command.stdout.readline().split()[0]
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert "ppo, running" in answer.read().decode()
            command.send_signal(signal.SIGINT)
            out, err = command.communicate(timeout=30)
        finally:
            command.kill()
    assert (command.returncode, out, err) == (0, "no longer followed; the run is as it was\n", "")


def test_a_run_under_way_says_which_step_of_how_many_it_is_at(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "r", info={"steps": 40})
    assert stage_content(run).facts["step"] == "0 of 40"
    run.append_metrics({"step": 7, "records": 28, "seconds": 1.0, "split": "train", "loss": 0.5})
    assert stage_content(run).facts["step"] == "7 of 40"
    run.update(status="stopped", step=9)
    assert stage_content(run).facts["step"] == "9 of 40"
