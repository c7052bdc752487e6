"""Pages as a reader sees them, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, medium, size
from report_parts import ALARM, METRICS, SAMPLES, graded, judged, page, stage

from rlhf_core.report.content import ComparisonContent, PageContent
from rlhf_core.report.page import render, render_comparison

ATTACK = "<script>window.taken = 1</script><img src=x onerror='window.taken = 2'><a href='javascript:window.taken=3'>x"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def see(browser: Any, tmp_path: Path) -> Any:
    """Open a page from a file."""

    def open_page(html: str) -> Any:
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        browser.get(path.as_uri())
        return browser

    yield open_page
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    size(browser, 1280)
    medium(browser)
    assert errors == []


def rows(browser: Any, block: str = "stage-1-texts") -> list[str]:
    """Prompts of a table of texts, as they are seen from top to bottom."""
    script = "return [...document.querySelector(`[data-part='${arguments[0]}']`).rows].filter(r => !r.hidden)"
    return browser.execute_script(f"{script}.map(r => r.cells[0].textContent)", block)


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two CSS colours."""

    def luminance(color: str) -> float:
        channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_what_a_model_wrote_never_runs_and_nothing_is_fetched(see: Any) -> None:
    samples = [{**row, "prompt": ATTACK, "completion": ATTACK + str(row["step"])} for row in SAMPLES]
    alarm = dict.fromkeys(("name", "says", "evidence", "cause", "mend"), ATTACK) | {"step": 1}
    hostile = {"samples": samples, "alarms": [alarm], "config": ATTACK, "error": ATTACK, "readings": {ATTACK: ATTACK}}
    for html in (
        page(**hostile),
        render(PageContent(title=ATTACK, stages=[], evaluations=[judged(("run", "tie"), text=ATTACK)])),
        render_comparison(ComparisonContent(title=ATTACK, runs=[stage(ATTACK, **hostile), stage("b", **hostile)])),
    ):
        browser = see(html)
        assert browser.execute_script("return window.taken ?? null") is None
        assert ATTACK in browser.execute_script("return document.querySelector('main').textContent")
        assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_a_script_that_slipped_in_would_be_refused(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page().replace("</main>", "<script>window.taken = 1</script></main>"))
    browser.get(path.as_uri())
    assert browser.execute_script("return window.taken ?? null") is None
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_texts_are_searched_filtered_and_sorted(see: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    browser = see(page())
    search = browser.find_element(By.ID, "stage-1-texts-search")
    search.send_keys("KNEADED")
    assert rows(browser) == ["p"]
    search.clear()
    search.send_keys(" ", Keys.BACKSPACE)
    Select(browser.find_element(By.ID, "stage-1-texts-which")).select_by_value("same")
    assert rows(browser) == ["q"]
    assert "1 of 2 shown" in browser.find_element(By.TAG_NAME, "main").text
    Select(browser.find_element(By.ID, "stage-1-texts-which")).select_by_value("all")
    before = browser.find_elements(By.CSS_SELECTOR, "button[data-sort=before]")[-1]
    before.send_keys(Keys.ENTER)  # by the keyboard
    assert rows(browser) == ["q", "p"]
    before.send_keys(Keys.ENTER)
    assert rows(browser) == ["p", "q"]
    assert before.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"


def test_verdicts_are_filtered_and_searched_disagreements_first(see: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    found = judged(("run", "run"), ("run", "baseline"), ("baseline", "baseline"), (None, "run"), ("tie", "tie"))
    browser = see(render(PageContent(title="t", stages=[], evaluations=[found])))

    def shown() -> list[str]:
        script = "return [...document.querySelectorAll('[data-part=eval-1-verdicts-1] tr')].filter(r => !r.hidden)"
        return browser.execute_script(f"{script}.map(r => r.cells[1].textContent)")

    assert shown() == ["p1", "p3", "p2", "p4", "p0"]
    which = Select(browser.find_element(By.ID, "eval-1-verdicts-1-which"))
    kinds = {"disagree": ["p1"], "win": ["p0"], "tie": ["p1", "p4"], "loss": ["p2"], "invalid": ["p3"]}
    for kind, prompts in kinds.items():
        which.select_by_value(kind)
        assert shown() == prompts
    which.select_by_value("all")
    browser.find_element(By.ID, "eval-1-verdicts-1-search").send_keys("SECOND REASON 2")
    assert shown() == ["p2"]
    browser.find_element(By.ID, "eval-1-verdicts-1-search").send_keys("\b" * 20)
    browser.find_element(By.CSS_SELECTOR, "button[data-sort=prompt]").click()
    assert shown() == ["p4", "p3", "p2", "p1", "p0"]
    browser.find_element(By.CSS_SELECTOR, "button[data-sort=order]").click()
    assert shown() == ["p0", "p4", "p2", "p3", "p1"]


def test_grades_are_filtered_searched_and_sorted_by_each_criterion(see: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    found = graded((5.0, 2.0), "refused", (1.0, 4.0), (4.0, 1.0), text=ATTACK)
    browser = see(render(PageContent(title="t", stages=[], evaluations=[found])))

    def shown() -> str:
        script = "return [...document.querySelectorAll('[data-part=eval-1-grades-1] tr')].filter(r => !r.hidden)"
        return "".join(browser.execute_script(f"{script}.map(r => r.cells[1].textContent[1])"))

    assert shown() == "1230"
    which = Select(browser.find_element(By.ID, "eval-1-grades-1-which"))
    for kind, prompts in {"passed": "30", "failed": "2", "invalid": "1", "run": "1230", "all": "1230"}.items():
        which.select_by_value(kind)
        assert shown() == prompts
    by_second = browser.find_element(By.CSS_SELECTOR, "button[data-sort=c2]")
    by_second.click()
    assert shown() == "2031"  # from the best; what has no grade stands last both ways
    by_second.click()
    assert shown() == "3021"
    browser.find_element(By.ID, "eval-1-grades-1-search").send_keys("REASON 2")
    assert shown() == "2"
    assert browser.execute_script("return window.taken") is None


def test_another_number_can_be_chosen(see: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    browser = see(page())
    choice = browser.find_element(By.ID, "eval-1-texts-metric")
    assert [option.text for option in Select(choice).options] == ["puns/length"]
    cells = browser.find_elements(By.CSS_SELECTOR, "[data-part=eval-1-texts] [data-number]")
    assert [cell.text for cell in cells] == ["3", "5", "2"]


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_never_scrolls_sideways(see: Any, width: int) -> None:
    long = [{**row, "completion": "w" * 300, "prompt": "p" * 200} for row in SAMPLES]
    browser = see(page(samples=long, config="k: " + "v" * 500, error="e" * 400))
    size(browser, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    overflow = "return [...document.querySelectorAll('.scroll')].every(e => getComputedStyle(e).overflowX === 'auto')"
    assert browser.execute_script(overflow)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(see: Any, scheme: str) -> None:
    browser = see(page())
    medium(browser, scheme=scheme)
    style = "const s = getComputedStyle(document.querySelector(arguments[0])); return [s.color, s.backgroundColor]"
    ink, paper = browser.execute_script(style, "body")
    assert (contrast(paper, "rgb(0, 0, 0)") < 2) == (scheme == "dark")
    assert contrast(ink, paper) > 7
    alarm, alarm_paper = browser.execute_script(style, ".alarms b")[0], browser.execute_script(style, ".alarms li")[1]
    assert contrast(alarm, alarm_paper) > 4.5
    assert contrast(ink, browser.execute_script(style, "ins")[1]) > 4.5
    assert contrast(ink, browser.execute_script(style, "del")[1]) > 4.5
    assert contrast(browser.execute_script(style, ".soft")[0], paper) > 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_alarm_is_read_whole_on_a_phone_and_flagged_on_its_curves(see: Any, scheme: str) -> None:
    from selenium.webdriver.common.by import By

    browser = see(page())
    size(browser, 360)
    medium(browser, scheme=scheme)
    alarm = browser.find_element(By.CSS_SELECTOR, ".alarms li")
    for part in (ALARM["says"], ALARM["evidence"], ALARM["cause"], ALARM["mend"]):
        assert part in alarm.text
    assert alarm.rect["x"] >= 0
    assert alarm.rect["x"] + alarm.rect["width"] <= 360
    flags = browser.find_elements(By.CSS_SELECTOR, ".chart .flag line")
    assert flags
    assert all(flag.rect["height"] > 50 for flag in flags)
    panel = browser.find_element(By.CSS_SELECTOR, ".chart").value_of_css_property("background-color")
    assert contrast(flags[0].value_of_css_property("stroke"), panel) > 3


def test_everything_that_acts_is_reached_by_the_keyboard(see: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = see(page())
    reached, body = set(), browser.find_element(By.TAG_NAME, "body")
    for _ in range(25):
        body.send_keys(Keys.TAB)
        body = browser.switch_to.active_element
        reached.add(body.tag_name)
    assert {"a", "input", "select", "button", "summary", "div"} <= reached


def test_print_shows_all_texts_without_the_tools(see: Any) -> None:
    browser = see(page())
    medium(browser, kind="print", scheme="dark")
    shown = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    assert browser.execute_script(shown, ".tools", "display") == "none"
    assert browser.execute_script(shown, ".texts", "maxHeight") == "none"
    assert contrast(browser.execute_script(shown, "body", "backgroundColor"), "rgb(255, 255, 255)") == 1.0


def test_a_page_of_a_long_run_stays_small_and_quick(see: Any) -> None:
    metrics = [{**METRICS[1], "step": step, "score": step / 5000} for step in range(5000)]
    samples = [{**SAMPLES[0], "step": step, "record_id": str(i)} for step in (0, 1) for i in range(2000)]
    html = page(metrics=metrics, samples=samples)
    assert len(html) < 600_000
    browser = see(html)
    assert len(rows(browser)) == 200
