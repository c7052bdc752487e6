"""`rlhf evaluate --judge`, as a user types it, against a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Rlhf
from judge_servers import Request, Response, ScriptedServer, reply, serving

from rlhf_core.store.replies import DEFAULT_REPLIES, SQLiteReplies

GRADE = {"ticket": "TICKET", "answers_prompt": 4, "two_senses": 2, "coherent": 4, "funny": 1, "original": 4,
         "reason": "plain"}  # fmt: skip


def longer_wins(request: Request, _: int) -> Response:
    """Grades alike; of two completions prefers the longer one, whatever the order."""
    shown = request["messages"][1]["content"].split("<completion_B")
    if len(shown) == 1:
        return reply(GRADE)
    first, second = (len(part) for part in shown)
    return reply({"ticket": "TICKET", "winner": "A" if first > second + 40 else "B", "reason": "by length"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with serving(longer_wins) as running:
        yield running


def test_a_comparison_is_told_kept_and_not_asked_for_twice(rlhf: Rlhf, server: ScriptedServer, home: Path) -> None:
    words = ("evaluate", "--run", "runs/small/dpo", "--baseline", "runs/small/sft", "--judge", "chatgpt",
             "--base-url", server.url, "--evaluator", "text")  # fmt: skip
    done = rlhf(*words)
    assert done.code == 0, done.err
    for metric in (
        "win-rate",
        "length-controlled-win-rate",
        "swap-consistency",
        "first-rate",
        "by-longest",
        "by-first",
    ):
        assert f"chatgpt/{metric}" in done.out
    assert "judge chatgpt: " in done.out
    asked = len(server.requests)
    assert 0 < asked <= 12
    assert SQLiteReplies(home / DEFAULT_REPLIES).spent().calls == asked
    again = rlhf(*words)
    assert again.code == 0
    assert f"0 calls to gpt-5.4-mini, {asked} kept from before" in again.out
    assert len(server.requests) == asked


def test_without_a_baseline_completions_are_graded_by_their_criteria(rlhf: Rlhf, server: ScriptedServer) -> None:
    done = rlhf("evaluate", "--run", "runs/small/dpo", "--judge", "chatgpt", "--base-url", server.url, "--limit", "2",
                "--probes", "3", "--evaluator", "text")  # fmt: skip
    assert done.code == 0, done.err
    for metric in ("score", "two_senses", "success", "attack-success"):
        assert f"chatgpt/{metric}" in done.out
    assert "0 of 3 planted completions" in done.out


def test_several_runs_are_ranked_by_one_judge(rlhf: Rlhf, server: ScriptedServer) -> None:
    done = rlhf("evaluate", "--run", "runs/small/sft", "--run", "runs/small/dpo", "--run", "runs/small/ppo",
                "--judge", "chatgpt", "--base-url", server.url)  # fmt: skip
    assert done.code == 0, done.err
    assert "strength (log-odds)" in done.out
    for pair in ("sft – dpo", "sft – ppo", "dpo – ppo"):
        assert pair in done.out
    refused = rlhf("evaluate", "--run", "runs/small/sft", "--run", "runs/small/dpo")
    assert (refused.code, "give --judge" in refused.err) == (2, True)


def test_the_budget_stops_the_command_in_one_line(rlhf: Rlhf, server: ScriptedServer) -> None:
    done = rlhf("evaluate", "--run", "runs/small/ppo", "--judge", "chatgpt", "--base-url", server.url, "--max-usd",
                "0.001", "--set", "judge.price={prompt: 100, reply: 100}", "--evaluator", "text")  # fmt: skip
    assert done.code == 2
    assert "stopped at the limit of 0.001 dollars" in done.err
    assert len(done.err.splitlines()) == 1
    assert server.requests == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--fail-under", "text/words=1000"], 4, "text/words is "),
        (["--fail-under", "text/words=0"], 0, ""),
        (["--fail-under", "text/wrods=1"], 2, "text/wrods: there are text/words"),
        (["--fail-under", "0.5"], 2, "write METRIC=VALUE"),
        (["--max-usd", "1"], 2, "--max-usd belongs to a judge"),
        (["--judge", "chatgpt", "--protocol", "puns", "--base-url", "http://127.0.0.1:9/v1"], 2, "did you mean 'pun'?"),
        (["--judge", "chatgpt", "--judge-model", "gpt-0"], 2, "no price is known for model 'gpt-0'"),
    ],
)
def test_gates_and_mistakes_are_told_with_their_exit_code(
    rlhf: Rlhf, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    done = rlhf("evaluate", "--run", "runs/small/dpo", "--limit", "2", "--evaluator", "text", *words)
    assert done.code == code
    assert said in done.err
    assert len(done.err.strip().splitlines()) <= 4
