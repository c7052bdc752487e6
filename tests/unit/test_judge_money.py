"""What a judge costs: prices, the estimate, the limit that is never passed, and replies that were paid for and lost."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from evaluation_standins import build
from judge_servers import Request, Response, ScriptedServer, failure, reply, serving
from openai.types.shared import chat_model

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import JudgeContext, Pair
from rlhf_core.contract.reward import Completion
from rlhf_core.store.replies import SQLiteReplies
from rlhf_plugins.chatgpt_judge import money
from rlhf_plugins.chatgpt_judge import server as server_module
from rlhf_plugins.chatgpt_judge.judge import ChatGPTJudge
from rlhf_plugins.chatgpt_judge.money import FREE, Budget, Price, find_price, most_tokens, table
from rlhf_plugins.chatgpt_judge.options import ChatGPTOptions

GRADE = {"ticket": "TICKET", "answers_prompt": 3, "two_senses": 3, "coherent": 3, "funny": 3, "original": 3,
         "reason": ""}  # fmt: skip
PRICE = {"prompt": 100.0, "reply": 1000.0}
"""Dollars per million tokens: a reply of the test server (10 and 3 tokens) costs 0.004 dollars."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setattr(server_module, "FIRST_PAUSE", 0.01)


def completions(count: int) -> list[Completion]:
    return [Completion(prompt="make a pun", text=f"text number {i}", group=str(i)) for i in range(count)]


def judge_at(server: ScriptedServer, store: Path, told: list[str] | None = None, **options: Any) -> Any:
    judge = build("chatgpt_judge", "judge", "chatgpt", base_url=server.url, **options)
    lines = [] if told is None else told
    judge.prepare(
        JudgeContext(replies=lambda path: SQLiteReplies(Path(path or store)), open_policy=fail, tell=lines.append)
    )
    return judge


def fail(_: str) -> Any:
    raise AssertionError("nobody asked for a policy")


def always(response: Response) -> Callable[[Request, int], Response]:
    return lambda *_: response


# Prices


def test_a_price_is_the_users_or_nothing_on_this_machine_or_the_tables() -> None:
    own, local = "https://api.openai.com/v1/", "http://127.0.0.1:8080/v1/"
    options = ChatGPTOptions(model="gpt-4o-mini-2024-07-18")
    assert find_price(options, own, own_server=True) == Price(*table()["models"]["gpt-4o-mini"])
    assert find_price(options, local, own_server=False) == FREE
    priced = ChatGPTOptions(price={"prompt": 2, "reply": 8})
    assert find_price(priced, local, own_server=False) == Price(2, 8)
    assert Price(2, 8).of(1_000_000, 500_000) == 6.0


@pytest.mark.parametrize(("model", "url"), [("gpt-9", "https://api.openai.com/v1/"), ("gpt-4o", "https://else.net/v1")])
def test_an_unknown_price_is_asked_for(model: str, url: str) -> None:
    own = url.startswith("https://api.openai.com")
    with pytest.raises(RLHFError, match=r"no price is known for model .*judge\.price=.*--no-budget"):
        find_price(ChatGPTOptions(model=model), url, own_server=own)
    assert find_price(ChatGPTOptions(model=model, no_budget=True), url, own_server=own) is None


def test_a_limit_without_counting_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        ChatGPTOptions(max_usd=1, no_budget=True)


def test_the_default_model_is_in_the_table_and_the_table_says_when_it_was_read() -> None:
    assert ChatGPTOptions().model in table()["models"]
    assert table()["read"][:2] == "20"


def test_the_default_model_is_one_that_the_openai_package_lists_without_a_shutdown_date() -> None:
    listed = get_args(chat_model.ChatModel)
    shut_down = inspect.getsource(chat_model).partition("Deprecated values:")[2]
    assert ChatGPTOptions().model in listed
    assert f'"{ChatGPTOptions().model}"' not in shut_down


@pytest.mark.parametrize("text", ["plain words", "ünïcödé 漢字 🙂", "x" * 1000, ""])
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    schema = {"type": "object", "required": ["a_long_criterion"] * 50}
    alone = most_tokens({"messages": [{"role": "user", "content": text}]})
    assert alone >= len(text.encode())
    # What a server reads beside the text counts, too.
    with_schema = most_tokens({"messages": [{"role": "user", "content": text}], "response_format": schema})
    assert with_schema >= alone + 50 * len("a_long_criterion")


# The limit


def test_the_limit_is_never_passed_whatever_runs_at_once() -> None:
    """400 calls of 0.01 to 0.03 with a worst case of 0.03, on 8 threads, against a limit of 1."""
    budget, stopped = Budget(1.0), threading.Event()

    def spend(thread: int) -> None:
        try:
            for number in range(50):
                with budget.reserved(0.03) as charge:
                    charge.usd = 0.01 * (1 + (thread + number) % 3)
                    assert budget.spent + budget.possibly <= 1.0
        except RLHFError:
            stopped.set()

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stopped.is_set()
    assert 0.97 - 1e-9 <= budget.spent <= 1.0


def test_processes_share_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with serving(always(reply(GRADE))) as server:
        judge = judge_at(server, tmp_path / "r.sqlite", price=PRICE, max_reply_tokens=100, max_usd=2.8)
        with pytest.raises(RLHFError, match=r"limit of 0\.7 dollars \(max_usd, shared by 4 processes\)"):
            judge.grade(completions(100))
        assert 0 < 0.004 * len(server.requests) <= 0.7


def test_money_held_back_by_others_is_waited_for() -> None:
    budget, inside, go_on = Budget(1.0), threading.Event(), threading.Event()

    def hold() -> None:
        with budget.reserved(0.9) as charge:
            charge.usd = 0.1
            inside.set()
            go_on.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(5)
    threading.Timer(0.05, go_on.set).start()
    with budget.reserved(0.9) as charge:
        charge.usd = 0.2
    thread.join()
    assert budget.spent == pytest.approx(0.3)


def test_a_judge_stops_at_its_limit_and_goes_on_from_there(tmp_path: Path) -> None:
    store = tmp_path / "replies.sqlite"
    with serving(always(reply(GRADE))) as server:
        judge = judge_at(server, store, price=PRICE, max_reply_tokens=100, max_usd=0.7)
        with pytest.raises(RLHFError, match=r"stopped at the limit of .*run the same command again") as caught:
            judge.grade(completions(200))
        answered = len(server.requests)
        assert 10 <= answered < 200
        assert judge._budget.spent == pytest.approx(0.004 * answered)
        assert judge._budget.spent <= judge.options.max_usd
        assert "\n" not in str(caught.value)
        again = judge_at(server, store, price=PRICE, max_reply_tokens=100)
        assert [grade.outcome for grade in again.grade(completions(answered + 5))] == ["valid"] * (answered + 5)
        assert len(server.requests) == answered + 5
    assert SQLiteReplies(store).spent().usd == pytest.approx(0.004 * (answered + 5))


def test_a_lost_reply_counts_as_possibly_charged_and_a_refused_call_does_not(tmp_path: Path) -> None:
    store = tmp_path / "replies.sqlite"
    script = [Response("{", cut=True), Response("", reset=True), Response("null"), failure(429), reply(GRADE)]
    with serving(lambda _, number: script[number]) as server:
        (grade,) = judge_at(server, store, price=PRICE, max_reply_tokens=100).grade(completions(1))
    worst = (PRICE["prompt"] * most_tokens(server.requests[0]) + PRICE["reply"] * 100) / 1e6
    kept = SQLiteReplies(store).calls()
    assert [call.possibly_usd for call in kept] == pytest.approx([worst, worst, worst, 0.0, 0.0])
    assert [call.usd for call in kept] == [None, None, None, None, pytest.approx(0.004)]
    assert grade.usage["possibly_usd"] == pytest.approx(3 * worst)
    assert grade.usage["calls"] == 5


def test_a_connection_that_never_stood_is_not_charged(tmp_path: Path) -> None:
    with serving(always(reply(GRADE))) as server:
        judge = judge_at(server, tmp_path / "r.sqlite", price=PRICE, max_retries=0)
    with pytest.raises(RLHFError, match="is the server up"):
        judge.grade(completions(1))
    (call,) = SQLiteReplies(tmp_path / "r.sqlite").calls()
    assert (call.outcome, call.possibly_usd) == ("error", 0.0)


# The estimate


def test_the_estimate_comes_before_the_first_call_and_leaves_out_what_is_kept(tmp_path: Path) -> None:
    told: list[str] = []
    with serving(lambda *_: reply(GRADE) if told else failure(500)) as server:
        judge = judge_at(server, tmp_path / "r.sqlite", told, price=PRICE, max_usd=50)
        judge.grade(completions(10))
        assert told[0].startswith(f"judge chatgpt: 10 calls to gpt-5.4-mini at {server.url}/; about ")
        assert "dollars" in told[0]
        assert "the limit is 50 dollars" in told[0]
        told.clear()
        told_again: list[str] = []
        judge_at(server, tmp_path / "r.sqlite", told_again, price=PRICE).grade(completions(10))
    assert told_again == [f"judge chatgpt: 0 calls to gpt-5.4-mini at {server.url}/, 10 kept from before"]


def test_the_estimate_is_the_price_times_the_tokens(tmp_path: Path) -> None:
    with serving(always(reply(GRADE))) as server:
        judge = judge_at(server, tmp_path / "r.sqlite", price={"prompt": 1e6, "reply": 0}, max_reply_tokens=100)
        from rlhf_plugins.chatgpt_judge.prompts import grade_question

        question = grade_question(completions(1)[0], judge._protocol, 100)
        characters = sum(len(message["content"]) for message in question.messages)
        estimate = judge._desk.estimate([question])
        judge.grade(completions(1))
    assert estimate.usd == pytest.approx(characters / 4 + money._OVERHEAD)
    assert estimate.worst_usd == pytest.approx(3 * most_tokens(server.requests[0]))
    assert estimate.usd <= estimate.worst_usd


def test_a_dry_run_is_told_the_same_without_a_key_or_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    with serving(always(reply(GRADE))) as server:
        judge = judge_at(server, tmp_path / "r.sqlite", told, price=PRICE)
        judge.grade(completions(10))
    monkeypatch.delenv("OPENAI_API_KEY")
    graded = ChatGPTJudge.cost(judge.options, completions(10), ".")
    assert f"about {graded.prompt_tokens:,.0f} prompt and {graded.reply_tokens:,.0f} reply tokens: about" in told[0]
    assert graded.usd == pytest.approx((100 * graded.prompt_tokens + 1000 * graded.reply_tokens) / 1e6)
    one = Completion(prompt="make a pun", text="x" * 400)
    compared = ChatGPTJudge.cost(judge.options, [Pair(first=one, second=one)], ".")
    short = ChatGPTJudge.cost(judge.options, [Pair(first=one, second=replace(one, text=""))], ".")
    assert compared.prompt_tokens - short.prompt_tokens == pytest.approx(100)


def test_a_cost_without_a_price_says_why() -> None:
    unknown = ChatGPTJudge.cost(ChatGPTOptions(model="nobodys"), completions(1), ".")
    assert unknown.usd is None
    assert "no price is known for model 'nobodys'" in unknown.note
    assert unknown.prompt_tokens > 0
    assert ChatGPTJudge.cost(ChatGPTOptions(base_url="http://localhost:1/v1"), completions(1), ".").usd == 0
