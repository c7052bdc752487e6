"""A user's way through the commands on a tiny model: train, go on, reuse, measure, generate, compare, export."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

import rlhf_core
from conftest import RECIPE, Rlhf, make_base, write_rows
from rlhf_core.contract.errors import RLHFError
from rlhf_core.recipe.observing import Listener


def read_run(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "run.json").read_text())
    return found


# --- rlhf run


def test_a_recipe_leaves_its_runs_their_evaluation_and_one_page(home: Path) -> None:
    for stage in ("sft", "reward", "dpo", "ppo"):
        folder = home / "runs" / "small" / stage
        info = read_run(folder)
        assert info["status"] == "finished"
        assert info["seed"] == 0
        assert info["data"]["train"]["fingerprint"]  # type: ignore[index]
        assert {"python", "torch", "rlhf_core"} <= set(info["versions"])  # type: ignore[call-overload]
        assert (folder / "report.html").is_file()
        assert (folder / "model" / "rlhf.json").is_file()
    assert read_run(home / "runs/small/dpo")["from"] == "runs/small/sft"
    assert "dpo" in (home / "runs/small/report.html").read_text()
    found = json.loads((home / "runs/small/dpo/evaluation/recipe.json").read_text())
    assert found["baseline"] == "sft"
    assert {"text/words", "reward-model/score", "kl/exact"} <= {row["name"] for row in found["summary"]}
    rows = (home / "runs/small/dpo/evaluation/recipe.jsonl").read_text().splitlines()
    assert len(rows) == 3 * 2 * 2  # prompts × samples × (run, baseline)


def test_a_second_run_reuses_every_stage_and_evaluation(rlhf: Rlhf, home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (home / "runs/small").glob("*/model/rlhf.json")}
    done = rlhf("run", "small.yaml")
    assert done.code == 0
    for stage in ("sft", "reward", "dpo", "ppo"):
        assert f"{stage}: finished already, reused: runs/small/{stage}" in done.out
    assert done.out.count("is there already, reused") == 3
    assert "text/words" in done.out
    assert "report: runs/small/report.html" in done.out
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_changed_stage_is_trained_anew_beside_the_old_one_and_so_is_what_leans_on_it(rlhf: Rlhf) -> None:
    rlhf("run", "small.yaml", "--output", "runs/changed")
    done = rlhf("run", "small.yaml", "--output", "runs/changed", "--set", "stages.reward.trainer.centering=0.5")
    assert "sft: finished already, reused" in done.out
    assert "dpo: finished already, reused" in done.out
    assert "reward: trainer.centering changed; trained anew, the old run is runs/changed/reward~1" in done.out
    assert "ppo: its data, its base or a stage it builds on changed; trained anew" in done.out
    assert Path("runs/changed/reward~1/model").is_dir()


def test_changed_rows_in_a_data_file_are_noticed(rlhf: Rlhf, home: Path) -> None:
    text = RECIPE.replace("name: small", "name: edited").replace("pairs.jsonl", "edited.jsonl")
    (home / "edited.yaml").write_text(text)
    lines = (home / "pairs.jsonl").read_text().splitlines(keepends=True)
    (home / "edited.jsonl").write_text("".join(lines))
    only = ["--config", "edited.yaml", "--algo", "dpo"]
    assert "sft: sft into runs/edited/sft" in rlhf("train", *only, "--output", "runs/edited-1").out
    assert "sft: finished already, reused" in rlhf("train", *only, "--output", "runs/edited-2").out
    (home / "edited.jsonl").write_text("".join(lines).replace("sings", "hums"))
    done = rlhf("train", *only, "--output", "runs/edited-3")
    assert "sft: its data, its base or a stage it builds on changed; trained anew" in done.out


def test_bad_data_of_a_later_stage_or_of_the_evaluation_shows_before_the_first_one_trains(
    rlhf: Rlhf, home: Path
) -> None:
    write_rows(home / "broken.jsonl", [{"prompt": "a", "chosen": "b"}])
    for key in ("stages.ppo.data", "evaluate.data"):
        done = rlhf("run", "small.yaml", "--output", "runs/ahead", "--set", key + "={sources: [{path: broken.csv}]}")
        assert done.code == 2
        assert "broken.csv: no such file; did you mean 'broken.jsonl'?" in done.err
    both = rlhf(
        "run", "small.yaml", "--output", "runs/ahead",
        "--set", "stages.reward.data={sources: [{path: broken.jsonl}]}",
        "--set", "stages.dpo.data={sources: [{path: gone.csv}]}",
    )  # fmt: skip
    assert both.code == 2
    assert "broken.jsonl: the trainer needs chosen, prompt and rejected" in both.err
    assert "gone.csv: no such file" in both.err
    assert not (home / "runs/ahead").exists()


def test_a_small_recipe_over_another_runs_with_named_files(rlhf: Rlhf, home: Path) -> None:
    few = home / "few.yaml"
    few.write_text(
        "extends: small.yaml\nname: few\nfiles: {pairs: {path: gone.jsonl, source: example.org}}\n"
        "data: {sources: [{path: 'file:pairs', map: {completion: chosen}}]}\n"
        "evaluate: {runs: [sft], baseline: null}\nstages: {sft: {training: {steps: 1}}}\n"
    )
    missing = rlhf("run", "few.yaml")
    assert missing.code == 2
    assert f"few.yaml:3:17: pairs: no such file: {home}/gone.jsonl; take it from example.org" in missing.err
    done = rlhf("train", "--algo", "sft", "--config", "few.yaml", "--data", "pairs=pairs.jsonl", "--output", "runs/one")
    assert done.code == 0
    assert read_run(home / "runs/one")["steps"] == 1
    recipe = (home / "runs/one/recipe.yaml").read_text()
    assert f"path: {home}/pairs.jsonl" in recipe
    assert "file:pairs" not in recipe
    shown = rlhf("data", "show", "--algo", "sft", "--config", "few.yaml", "--data", "pairs=pairs.jsonl", "--rows", "1")
    assert shown.code == 0
    assert "sings" in shown.out.replace("][", "")


def test_a_reward_model_that_was_trained_on_the_prompts_it_scores_is_told_at_the_start_and_in_the_report(
    rlhf: Rlhf, home: Path
) -> None:
    only = ["train", "--algo", "ppo", "--config", "small.yaml"]
    done = rlhf(*only, "--output", "runs/known")
    told = (
        "runs/small/reward, which scores here, was itself trained on 6 of 6 training prompts and 0 of 4 held-out ones"
    )
    assert f"ppo: note: {told}" in done.out
    assert told in (home / "runs/known/report.html").read_text()
    assert told in rlhf("doctor", "runs/known").out
    assert told in rlhf(*only, "--dry-run").out
    write_rows(home / "strangers.jsonl", [{"prompt": f"sing {letter}"} for letter in "abcdef"])
    assert "which scores here" not in rlhf(*only, "--data", "strangers.jsonl", "--output", "runs/strange").out
    assert read_run(home / "runs/strange")["warnings"] == []
    measured = json.loads((home / "runs/small/ppo/evaluation/recipe.json").read_text())
    known = "runs/small/reward was itself trained on 1 of 3 prompts of this evaluation"
    assert any(warning.startswith(f"reward-model: {known}") for warning in measured["warnings"])


# --- rlhf train


def test_train_reuses_what_the_stage_needs_and_says_where_everything_is(rlhf: Rlhf, home: Path) -> None:
    done = rlhf(
        "train", "--algo", "dpo", "--config", "small.yaml", "--set", "trainer.beta=0.5", "--output", "runs/mine"
    )
    assert done.code == 0
    assert "sft: finished already, reused: runs/small/sft" in done.out
    assert "PeftModel.from_pretrained(base, 'runs/mine/model')" in done.out
    assert "held out: loss 0.6931" in done.out  # ln 2: the policy is the reference at the start
    recipe = (home / "runs/mine/recipe.yaml").read_text()
    assert "beta: 0.5" in recipe
    assert "label_smoothing:" in recipe


def test_an_output_folder_in_use_is_refused_and_left_alone(rlhf: Rlhf, home: Path) -> None:
    (home / "taken").mkdir()
    (home / "taken" / "mine.txt").write_text("keep me")
    done = rlhf("train", "--algo", "sft", "--config", "small.yaml", "--output", "taken")
    assert done.code == 2
    assert "error: taken: the folder is in use; choose another --output" in done.err
    assert [path.name for path in (home / "taken").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"prompt": "a", "chosen": "b"}], "rejected"),
        ([{"prompt": "a", "chosen": None, "rejected": "c"}], "bad.jsonl:1"),
        ([], "bad.jsonl"),
        ([{"prompt": "x" * 500, "chosen": "b", "rejected": "c"}, {"prompt": "y" * 500, "chosen": "b", "rejected": "c"}],
         "tokens"),
    ],
)  # fmt: skip
def test_bad_data_is_told_by_file_and_row_before_anything_is_written(
    rlhf: Rlhf, home: Path, rows: list[dict[str, object]], message: str
) -> None:
    write_rows(home / "bad.jsonl", rows)
    done = rlhf("train", "--algo", "dpo", "--config", "small.yaml", "--data", "bad.jsonl", "--output", "runs/bad")
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (home / "runs/bad").exists()


def test_no_such_model_is_one_line(rlhf: Rlhf, home: Path) -> None:
    done = rlhf("train", "--algo", "sft", "--config", "small.yaml", "--model", "./nowhere", "--output", "runs/none")
    assert done.code == 2
    assert "model.path: no folder ./nowhere" in done.err
    assert not (home / "runs/none").exists()


def test_ones_own_rows_train_from_the_base(rlhf: Rlhf, home: Path) -> None:
    rows = [{"prompt": f"q{i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(6)]
    write_rows(home / "own.jsonl", rows)
    done = rlhf(
        "train", "--algo", "dpo", "--config", "small.yaml", "--data", "own.jsonl", "--output", "runs/own", "--paranoid"
    )
    assert done.code == 0
    assert "paranoid: true" in (home / "runs/own/recipe.yaml").read_text()
    assert "dpo: starts from the base and not from sft, since --data is given" in done.out
    assert read_run(home / "runs/own")["from"] == "base"
    evaluated = rlhf("evaluate", "--run", "runs/own")
    assert evaluated.code == 0
    assert "text/words" in evaluated.out


def test_ctrl_c_saves_prints_the_command_that_goes_on_and_ends_at_the_same_weights(rlhf: Rlhf, home: Path) -> None:
    from safetensors.torch import load_file

    whole = rlhf("train", "--algo", "dpo", "--config", "small.yaml", "--steps", "4", "--output", "runs/whole")
    assert whole.code == 0

    class Interrupt(Listener):
        def step(self, step: int, metrics) -> None:
            if step == 2:
                os.kill(os.getpid(), signal.SIGINT)

    import rlhf_core.cli.progress as progress

    listeners = progress.listeners
    progress.listeners = lambda stage: [*listeners(stage), Interrupt()]
    try:
        cut = rlhf("train", "--algo", "dpo", "--config", "small.yaml", "--steps", "4", "--output", "runs/cut")
    finally:
        progress.listeners = listeners
    assert cut.code == 130
    assert "stopped at step 2 of 4; all is saved. Go on with\n  rlhf train --resume runs/cut" in cut.out
    assert read_run(home / "runs/cut")["status"] == "stopped"
    assert not (home / "runs/cut/model").exists()
    resumed = rlhf("train", "--resume", "runs/cut", "--paranoid")  # which looks closer and moves nothing
    assert resumed.code == 0
    assert "dpo: goes on at step 2 of 4" in resumed.out
    one = load_file(home / "runs/whole/model/adapter_model.safetensors")
    other = load_file(home / "runs/cut/model/adapter_model.safetensors")
    assert all(bool((one[name] == other[name]).all()) for name in one)
    again = rlhf("train", "--resume", "runs/cut")
    assert (again.code, "is finished; nothing to go on with" in again.err) == (2, True)


def test_going_on_with_other_options_is_refused(rlhf: Rlhf, home: Path) -> None:
    info = read_run(home / "runs/whole")
    (home / "runs/whole/run.json").write_text(json.dumps({**info, "status": "stopped"}))
    done = rlhf("train", "--resume", "runs/whole", "--set", "trainer.beta=0.9")
    assert done.code == 2
    assert "trainer.beta: 0.1 → 0.9" in done.err


# --- --dry-run


def listing(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_dry_run_takes_a_real_step_and_leaves_nothing(rlhf: Rlhf, home: Path) -> None:
    before = listing(home)
    done = rlhf("train", "--algo", "dpo", "--config", "small.yaml", "--steps", "7", "--dry-run")
    assert done.code == 0
    assert listing(home) == before
    facts = {line.strip().partition("  ")[0]: line for line in done.out.splitlines()}
    # r = 2 on c_attn (16 → 48), c_proj (16 → 16), c_fc (16 → 64) and the MLP's c_proj (64 → 16), in two layers.
    trained = 2 * 2 * ((16 + 48) + (16 + 16) + (16 + 64) + (64 + 16))
    assert f"{trained:,} of them trained" in facts["parameters"]
    assert f"policy {trained:,}" in facts["by role"]
    assert "(7 steps, 5 evaluations, 7 checkpoints" in facts["the whole"]  # 0, 2, 4, 6 and the end
    assert "loss is 0.693147" in facts["check passed"]
    assert "not trained yet" not in done.out  # sft is finished, so the step was taken from it


def test_a_dry_run_uses_no_run_that_the_training_would_not_reuse(
    rlhf: Rlhf, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_base(tmp_path / "base")
    shutil.copy(home / "pairs.jsonl", tmp_path)
    (tmp_path / "small.yaml").write_text(RECIPE)
    only = ["train", "--algo", "ppo", "--config", "small.yaml"]
    assert rlhf(*only, "--output", "runs/before").code == 0
    assert "is not used" not in rlhf(*only, "--dry-run").out
    shutil.rmtree(tmp_path / "base")
    make_base(tmp_path / "base", seed=1)
    done = rlhf(*only, "--dry-run")
    assert done.code == 0
    assert "note: runs/small/sft is not used: its data, its base or a stage it builds on changed" in done.out
    assert "note: runs/small/reward is not used: it grew on a run that is not" in done.out
    assert "no step was taken: it needs reward, not trained yet" in done.out


def test_a_dry_run_from_python_counts_what_the_rows_hold(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    rows = [{"prompt": "ab", "completion": "c" * count} for count in (1, 2, 3, 40, 5)]
    found = rlhf_core.dry_run(
        "sft", config="small.yaml", data=rows, tell=[].append,
        set={"data.validation": None, "data.max_completion_tokens": 10, "training.batch_size": 2},
    )  # fmt: skip
    assert found.tokens is not None
    # BOS, two letters and the template's line end; the letters and EOS, or ten letters where it is cut.
    prompt, completions = 4, [2, 3, 4, 10, 6]
    assert found.tokens.whole == 5 * prompt + sum(completions)
    assert found.tokens.per_step == pytest.approx((5 * prompt + sum(completions)) / 5 * 2)
    assert found.tokens.longest == prompt + 10
    assert found.reports["train"].truncated == 1
    assert found.pace is not None
    assert found.pace.evaluations == 0
    assert found.pace.whole > found.pace.step > 0
    assert found.memory is not None
    assert found.memory.peak >= found.memory.before > 0


def test_a_dry_run_asks_no_judge_and_counts_its_questions(
    rlhf: Rlhf, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    recipe = RECIPE.replace('{reward: reward-model, run: "stage:reward"}', "{reward: judge, judge: {judge: chatgpt}}")
    (home / "judged.yaml").write_text(recipe.replace("name: small", "name: judged").replace("steps: 1", "steps: 3"))
    done = rlhf("train", "--algo", "ppo", "--config", "judged.yaml", "--dry-run")
    assert done.code == 0
    assert "sft is not trained yet: tried on the base" in done.out
    assert "chatgpt was not asked: every score was 0 in this step" in done.out
    # 4 rollouts per step; per evaluation as many held-out prompts and 2 samples, at steps 0, 2 and 3.
    held_out = rlhf_core.Run("runs/small/ppo").info["data"]["validation"]["kept"]
    per_evaluation = min(4, held_out) + 2
    assert f"about {4 * 3 + per_evaluation * 3} questions (4 per step × 3 + {per_evaluation} per evaluation × 3)" in (
        done.out
    )
    # Told without a key, in the judge's own count: its instructions and replies are in it.
    assert re.search(r"about [\d,]+ prompt and [\d,]+ reply tokens", done.out)
    assert re.search(r"dollars +about 0\.\d+, if no reply is kept from before; at the prices of \d{4}-\d{2}", done.out)
    unknown = ["--set", "reward.judge={judge: chatgpt, model: nobodys}"]
    told = rlhf("train", "--algo", "ppo", "--config", "judged.yaml", "--dry-run", *unknown)
    assert re.search(r"dollars +not known; judge chatgpt: no price is known for model 'nobodys'", told.out)


def test_a_dry_recipe_tries_each_stage_on_what_is_there(rlhf: Rlhf, home: Path) -> None:
    before = listing(home)
    judged = ["--set", "evaluate.judge={judge: chatgpt}"]
    done = rlhf("run", "small.yaml", "--output", "runs/dry", "--dry-run", *judged)
    assert done.code == 0
    assert listing(home) == before
    assert done.out.count("sft is not trained yet: tried on the base") == 3
    assert "no step was taken: it needs reward, not trained yet" in done.out
    # 3 prompts, 2 answers each: sft is the baseline and graded, dpo and ppo are compared in both orders.
    assert f"about {3 * 2 * (1 + 2 + 2)} questions" in done.out
    assert re.search(r"dollars +about 0\.\d+, if no reply is kept from before", done.out)


# --- what one does with runs


def test_evaluate_takes_the_newest_run_and_compares_with_the_base(rlhf: Rlhf, home: Path) -> None:
    done = rlhf("evaluate", "--run", "runs/small/dpo", "--baseline", "base", "--limit", "2", "--samples", "1")
    assert done.code == 0
    assert "runs/small/dpo: 2 prompts" in done.out
    assert "difference" in done.out
    assert (home / "runs/small/dpo/evaluation/offline-against-base.json").is_file()
    again = rlhf("evaluate", "--run", "runs/small/dpo", "--baseline", "base", "--limit", "2", "--evaluator", "text")
    assert "offline-against-base-2.json" in again.out
    assert rlhf("evaluate").code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--judge", "chatgtp"], 3, "no judge 'chatgtp'; did you mean 'chatgpt'?"),
        (["--base-url", "http://x"], 2, "belongs to a judge"),
        (["--evaluator", "txt"], 3, "no evaluator 'txt'; did you mean 'text'?"),
        (["--set", "sampling.m=2"], 2, "--set evaluate.sampling.m = 2: unknown option"),
        (["--run", "runs/small/reward"], 2, "runs/small/reward: reward makes no policy that writes"),
        (["--baseline", "runs/nowhere"], 2, "runs/nowhere: no run there"),
    ],
)
def test_mistakes_in_a_question_are_one_line(rlhf: Rlhf, words: list[str], code: int, message: str) -> None:
    done = rlhf("evaluate", *([] if "--run" in words else ["--run", "runs/small/dpo"]), *words)
    assert message in done.err
    assert done.code == code
    assert "Traceback" not in done.err


def test_a_judge_without_its_key_says_which_variable_is_missing(rlhf: Rlhf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = rlhf("evaluate", "--run", "runs/small/dpo", "--judge", "chatgpt", "--baseline", "base")
    assert done.code == 2
    assert "OPENAI_API_KEY" in done.err


def test_generate_ends_with_a_stop_string(rlhf: Rlhf) -> None:
    words = ["generate", "--run", "runs/small/sft", "one", "--max-new-tokens", "12", "--temperature", "0"]
    whole = rlhf(*words).out.strip()
    cut = rlhf(*words, "--stop", "#never#", "--stop", whole[3]).out.strip()
    assert whole.startswith(cut)
    assert whole[3] in cut
    assert len(cut) < len(whole)


def test_generate_is_repeatable_and_asks_each_prompt(rlhf: Rlhf) -> None:
    words = ["generate", "--run", "runs/small/sft", "one", "two", "--samples", "2", "--max-new-tokens", "4"]
    first = rlhf(*words)
    assert first.code == 0
    assert [line for line in first.out.splitlines() if not line.startswith("  ")] == ["one:", "two:"]
    assert rlhf(*words).out == first.out
    assert rlhf(*words, "--seed", "1").out != first.out
    wrong = rlhf(*words, "--temperature", "-1")
    assert (wrong.code, "temperature = -1.0: must be greater than or equal to 0" in wrong.err) == (2, True)


def test_runs_are_listed_shown_and_compared(rlhf: Rlhf) -> None:
    listed = rlhf("runs", "list").out
    assert "runs/small/dpo" in listed
    assert "2/2" in listed
    shown = rlhf("runs", "show", "runs/small/dpo").out
    assert "command" in shown
    assert "rlhf run small.yaml" in shown
    compared = rlhf("runs", "compare", "runs/small/dpo", "runs/mine").out
    assert "trainer.beta" in compared
    assert "reward_margin" in compared


def test_data_show_marks_the_tokens_that_are_trained_on(rlhf: Rlhf) -> None:
    out = rlhf("data", "show", "--algo", "dpo", "--config", "small.yaml", "--rows", "1").out
    lines = out.splitlines()
    prompt, chosen, rejected = lines[-3:]
    assert "[" not in prompt
    assert prompt.replace("|", "").strip().startswith("<endoftext>say ")
    assert chosen.replace("[", "").replace("]", "").strip().endswith("sings<|endoftext|>")
    assert rejected.replace("[", "").replace("]", "").strip().startswith("no ")


def test_export_writes_a_plain_model_that_answers_like_the_run(rlhf: Rlhf, home: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert rlhf("export", "--run", "runs/small/dpo", "--output", "plain", "--license", "mit").code == 0
    card = (home / "plain/README.md").read_text()
    assert 'license: "mit"' in card
    assert "### dpo against sft" in card
    model = AutoModelForCausalLM.from_pretrained(home / "plain")
    tokens = AutoTokenizer.from_pretrained(home / "plain")("say piano\n", return_tensors="pt")["input_ids"]
    policy = rlhf_core.Run("runs/small/dpo").policy
    with policy.roles.acting("policy") as plain, torch.no_grad():
        assert torch.allclose(model(tokens).logits, plain(tokens).logits, atol=1e-5)
    again = rlhf("export", "--run", "runs/small/dpo", "--output", "plain")
    assert (again.code, "the folder is in use" in again.err) == (2, True)


# --- from Python


def longer(_prompt: str, completion: str) -> float:
    return float(len(completion))


def test_train_and_evaluate_from_python_with_rows_and_a_function(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    told: list[str] = []
    rows = [{"prompt": f"say {i}"} for i in range(8)]
    run = rlhf_core.train(
        algo="ppo", config="small.yaml", data=rows, reward=longer, start="base", steps=1, output="runs/python",
        set={"trainer.kl_coef": 0.2}, tell=told.append,
    )  # fmt: skip
    assert run.status == "finished"
    assert run.metrics[0]["split"] == "validation"
    assert run.samples[0]["prompt"].startswith("say ")
    assert run.samples[0]["score"] == len(run.samples[0]["completion"])
    assert run.config["stages"][0]["trainer"]["kl_coef"] == 0.2
    assert run.report.is_file()
    assert len(run.generate("say 3", n=3)) == 3
    assert all("sft" not in line for line in told)
    measured = rlhf_core.evaluate(run, baseline="base", evaluators=["text"], set={"sampling.n": 2}, tell=told.append)
    assert measured["text/words"].baseline.n > 0
    assert measured.path == run.path
    assert len(measured.evaluations) == 1


def test_mistakes_from_python_are_the_same_errors(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(RLHFError, match="unknown option of dpo"):
        rlhf_core.train(algo="dpo", config="small.yaml", set={"trainer.bta": 1})
    with pytest.raises(RLHFError, match="steps"):
        rlhf_core.train(algo="dpo", config="small.yaml", stepps=1)


def test_a_hook_of_a_stranger_hears_of_the_run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
    from distributions import install

    from rlhf_core.registry.catalog import Catalog

    source = """
from rlhf_core.contract.components import hookimpl
heard = []
@hookimpl
def rlhf_run_started(run, config): heard.append(("started", config["algo"]))
@hookimpl
def rlhf_step_finished(step, metrics): heard.append(("step", step))
@hookimpl
def rlhf_evaluated(step): heard.append(("evaluated", step))
@hookimpl
def rlhf_run_finished(status): heard.append(("finished", status))
"""
    monkeypatch.syspath_prepend(str(install(tmp_path, "hooks-rlhf", {"hearing": source}, {"hearing": "hearing"})))
    monkeypatch.chdir(home)
    rlhf_core.train(algo="sft", config="small.yaml", output="runs/heard", catalog=Catalog.load(), tell=[].append)
    assert sys.modules["hearing"].heard == [
        ("started", "sft"), ("evaluated", 0), ("step", 1), ("step", 2), ("evaluated", 2), ("finished", "finished"),
    ]  # fmt: skip
