"""`rlhf evaluate --judge`, as a user types it, against a server on this machine."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from judge_servers import Request, Response, ScriptedServer, reply, serving

from conftest import Rlhf
from rlhf_core.store.replies import DEFAULT_REPLIES, SQLiteReplies
from rlhf_plugins.chatgpt_judge.protocol import bundled_protocols

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
    assert f"0 calls to gpt-5.4-mini at {server.url}/, {asked} kept from before" in again.out
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
    assert "by longest" in done.out
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


def test_a_reward_model_judges_offline_and_is_told_apart_where_it_trained_the_run(rlhf: Rlhf, home: Path) -> None:
    done = rlhf("evaluate", "--run", "runs/small/ppo", "--baseline", "runs/small/sft", "--judge", "reward-model",
                "--set", "judge.run=runs/small/reward", "--name", "by-model")  # fmt: skip
    assert done.code == 0, done.err
    # The recipe's evaluator of that name keeps it: the judge's metrics stand beside.
    for metric in ("reward-model/score", "reward-model-judge/win-rate", "reward-model-judge/swap-consistency"):
        assert metric in done.out
    for name in ("reward-model", "reward-model-judge"):
        assert f"WARNING: {name}: ppo was trained on the scores of runs/small/reward" in done.out
    folder = home / "runs/small/ppo/evaluation"
    assert "kept in runs/small/ppo/evaluation/by-model.json, .jsonl, .csv and .md" in done.out
    rows = list(csv.DictReader((folder / "by-model.csv").open(newline="")))
    assert len(rows) == 12
    assert "Warning" in (folder / "by-model.md").read_text()
    page = (home / "runs/small/ppo/report.html").read_text()
    assert "Verdicts of reward-model-judge" in page
    own = [row for row in rows if row["of"] == "run"]
    scores = [[float(word) for word in row["reward-model-judge/run-first-reason"].split()[1::2]] for row in own]
    for row, (score, other) in zip(own, scores, strict=True):
        assert score == pytest.approx(float(row["reward-model/score"]), rel=1e-3)
        expected = "tie" if score == other else "run" if score > other else "baseline"
        assert {row["reward-model-judge/run-first"], row["reward-model-judge/baseline-first"]} == {expected}


def test_a_judge_as_reward_tells_what_its_first_batch_costs_and_is_named_where_it_measures(
    rlhf: Rlhf, server: ScriptedServer
) -> None:
    asked = f"{{reward: judge, judge: {{judge: chatgpt, base_url: '{server.url}'}}}}"
    done = rlhf("train", "--algo", "ppo", "--config", "small.yaml", "--steps", "1", "--output", "runs/graded",
                "--set", f"reward={asked}")  # fmt: skip
    assert done.code == 0, done.err
    (line,) = [line for line in done.out.splitlines() if "judge chatgpt:" in line]
    assert line.startswith("ppo, for its first completions: judge chatgpt: ")
    assert line.endswith("Every later step asks again; `rlhf train --dry-run` counts all")
    measured = rlhf("evaluate", "--run", "runs/graded", "--judge", "chatgpt", "--base-url", server.url, "--limit", "1",
                    "--evaluator", "text")  # fmt: skip
    assert "WARNING: chatgpt: graded was trained on the grades of judge chatgpt, so" in measured.out


def test_a_protocol_is_looked_for_where_it_is_typed(rlhf: Rlhf, server: ScriptedServer, home: Path) -> None:
    (home / "mine.yaml").write_text(bundled_protocols()["pun"].replace("two_senses", "double"))
    words = ["evaluate", "--run", "runs/small/dpo", "--judge", "chatgpt", "--base-url", server.url, "--limit", "1",
             "--evaluator", "text", "--protocol", "mine.yaml"]  # fmt: skip
    assert rlhf(*words).code == 0
    assert "double" in server.requests[0]["messages"][0]["content"]
    (home / "mine.yaml").write_text("what: [")
    broken = rlhf(*words)
    assert (broken.code, "mine.yaml: is no YAML" in broken.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--fail-under", "text/words=1000"], 4, "text/words is "),
        (["--fail-under", "text/words=0"], 0, ""),
        (["--fail-under", "text/wrods=1"], 2, "text/wrods: there are text/words"),
        (["--fail-under", "0.5"], 2, "write METRIC=VALUE"),
        (["--max-usd", "1"], 2, "--max-usd belongs to a judge"),
        (["--judge", "chatgpt", "--protocol", "puns", "--base-url", "http://127.0.0.1:9/v1"], 2, "did you mean 'pun'?"),
        (
            ["--judge", "chatgpt", "--base-url", "localhost:80"],
            2,
            "must be an address such as http://localhost:8080/v1",
        ),
        (
            ["--judge", "chatgpt", "--base-url", "http://127.0.0.1:9/v1", "--set", "judge.max_retries=0"],
            2,
            "Connection refused; is the server up",
        ),
        (
            ["--judge", "reward-model", "--baseline", "base", "--set", "judge.run=runs/small/sft"],
            2,
            "name a run of `rlhf train --algo reward`",
        ),
        (["--judge", "chatgpt", "--judge-model", "gpt-0"], 2, "no price is known for model 'gpt-0'"),
        (["--judge", "reward-model"], 2, "evaluate.judge.run: is missing (--set evaluate.judge.run=…)"),
        (
            ["--judge", "chatgpt", "--max-usd", "1", "--no-budget"],
            2,
            "--judge: evaluate.judge: max_usd and no_budget exclude each other",
        ),
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
