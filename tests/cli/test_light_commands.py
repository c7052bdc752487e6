"""What must be quick, and what must be told without a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "pydantic", "rich", "ruamel", "datasets", "peft", "jinja2", "openai")
MEASURE = """
import sys, time
from rlhf_core.cli.main import run
code = run(sys.argv[1:])
heavy = [name for name in {heavy} if name in sys.modules]
print(code, round(time.process_time(), 3), *heavy, file=sys.stderr)
"""


def measured(*words: str) -> tuple[str, list[str]]:
    """(output, [exit code, CPU seconds, heavy modules that were loaded]) of the command in a fresh process."""
    code = MEASURE.format(heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize(
    "words", [["--help"], ["plugins"], ["train", "--help"], ["run", "--help"], ["label", "--help"]]
)
def test_help_and_listing_load_nothing_heavy(words: list[str]) -> None:
    """What takes the time is what is imported: benchmarks/startup.py measures the seconds."""
    code, _, *heavy = measured(*words)[1]
    assert (code, heavy) == ("0", [])


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--algo", "ppo", "--set", "trainer.clip=1"],
        ["train", "--algo", "dpo", "--set", "training.lr=1", "--dry-run"],
        ["run", "puns", "--set", "stages.dpo.trainer.bta=1"],
        ["sweep", "puns", "--stage", "dpo", "--grid", "trainer.bta=1,2"],
    ],
    ids=" ".join,
)
def test_a_mistake_in_a_recipe_does_not_wait_for_torch(words: list[str]) -> None:
    code, _, *loaded = measured(*words)[1]
    assert code == "2"
    assert not set(loaded) & {"torch", "transformers", "datasets", "peft"}


def test_runs_are_listed_shown_and_compared_without_what_trained_them(tmp_path: Path) -> None:
    from rlhf_core.store.run import RunFolder

    recipe = "name: small\nstages: [{algo: dpo, trainer: {beta: 0.1}}]\n"
    summary = [{"name": "text/words", "mean": 3.0, "low": 2.0, "high": 4.0, "difference": None}]
    names = [str(tmp_path / name) for name in ("one", "two")]
    for name in names:
        run_folder = RunFolder.create(name, info={"algo": "dpo"}, recipe=recipe)
        run_folder.append_metrics({"step": 1, "records": 4, "seconds": 0.1, "split": "validation", "loss": 0.5})
        run_folder.evaluations.mkdir()
        (run_folder.evaluations / "offline.json").write_text(
            json.dumps({"baseline": None, "notes": [], "summary": summary})
        )
    for words in (["list", "--root", str(tmp_path)], ["show", names[0]], ["compare", *names]):
        out, (code, _, *loaded) = measured("runs", *words)
        assert code == "0"
        assert "0.5" in out
        assert not set(loaded) & {"torch", "transformers", "pydantic", "datasets", "peft", "openai"}


def test_ratings_are_calibrated_without_what_trains(tmp_path: Path) -> None:
    table = tmp_path / "ratings.csv"
    table.write_text("item,rater,rating\n1,ana,a\n1,bo,a\n2,ana,b\n2,bo,a\n")
    out, (code, _, *loaded) = measured("evaluate", "calibrate", "--ratings", str(table))
    assert code == "0"
    assert "kappa of ana and bo" in out
    assert not set(loaded) & {"torch", "transformers", "pydantic", "datasets", "peft", "openai"}


def test_import_of_the_package_is_light_and_offers_the_public_names() -> None:
    code = f"import sys, rlhf_core; print([n for n in {HEAVY} if n in sys.modules], sorted(rlhf_core.__all__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[] ['BaseTrainer'")
    import rlhf_core

    for name in rlhf_core.__all__:
        assert getattr(rlhf_core, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rlhf_core.nothing


def run(*words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rlhf_core.cli.main", *words], capture_output=True, text=True, check=False, cwd=cwd,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_plugins_of_strangers_are_listed_broken_ones_with_reason_and_fix(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
    from distributions import declaring, install

    good = declaring('kind="reward", name="loud", summary="Counts capitals", target="good:Loud"')
    install(tmp_path, "acme-rlhf", {"good": good, "bad": "import sys; sys.exit(1)"}, {"good": "good", "bad": "bad"})
    done = run("plugins", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert "loud" in done.stdout
    assert "acme-rlhf 1.2" in done.stdout
    assert "called sys.exit(1) at import; report it to the plugin's author" in done.stdout
    assert "warning: plugin acme-rlhf/bad is left out" in done.stderr
    off = run("-p", "no:bad", "--no-plugins", "plugins", PYTHONPATH=str(tmp_path))
    assert off.stderr == ""
    assert "Counts capitals" not in off.stdout
    strict = run("plugins", PYTHONPATH=str(tmp_path), RLHF_STRICT_PLUGINS="1")
    assert strict.returncode == 3
    assert strict.stderr.startswith("error: plugin acme-rlhf/bad is broken: called sys.exit(1)")
    assert "Traceback" not in strict.stderr


def test_doctor_ends_with_2_where_something_is_wrong_and_0_where_nothing_is(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
    from distributions import install

    install(tmp_path, "acme-rlhf", {"bad": "import nothing_of_that_name"}, {"bad": "bad"})
    secret = {"OPENAI_API_KEY": "sk-secret", "RLHF_STRICT_PLUGINS": "1"}
    broken = run("doctor", "--json", cwd=tmp_path, PYTHONPATH=str(tmp_path), **secret)
    assert broken.returncode == 2
    findings = json.loads(broken.stdout)
    problems = [found for found in findings if found["level"] == "problem"]
    assert [found["subject"] for found in problems] == ["acme-rlhf/bad"]
    assert problems[0]["mend"] == "pip install nothing_of_that_name"
    assert "sk-secret" not in broken.stdout
    fine = run("-p", "no:bad", "doctor", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert fine.returncode == 0
    assert fine.stdout.splitlines()[-1].startswith("nothing is wrong")


def test_doctor_explains_a_run(light, tmp_path: Path) -> None:
    from rlhf_core.store.run import RunFolder

    made = RunFolder.create(tmp_path / "mine", info={"algo": "dpo", "steps": 4})
    made.update(status="failed", error="the loss is nan")
    code, out, _ = light("doctor", str(made.path))
    assert code == 2
    assert "failed, step 0 of 4: the loss is nan" in out
    assert f"rlhf train --resume {made.path}" in out
    assert light("doctor", str(tmp_path / "nowhere"))[0] == 2


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        (["ok", "ok"], "nothing is wrong"),
        (["ok", "note", "note"], "nothing is wrong (2 notes)"),
        (["note", "alarm", "ok"], "1 alarm, 1 note"),
        (["alarm", "problem", "alarm"], "1 problem, 2 alarms"),
    ],
)
def test_doctor_ends_by_counting_and_an_alarm_is_something_wrong(levels: list[str], told: str) -> None:
    from rlhf_core.cli.doctor import verdict

    assert verdict(levels) == told


def test_doctor_counts_the_alarms_of_a_run(light, tmp_path: Path) -> None:
    from rlhf_core.store.run import RunFolder

    made = RunFolder.create(tmp_path / "mine", info={"algo": "ppo", "steps": 6, "status": "finished"})
    for step in range(1, 7):
        made.append_metrics({"step": step, "records": step, "seconds": 1.0, "split": "train", "score": 0.5})
    code, out, _ = light("doctor", str(made.path))
    assert "alarm    constant-scores" in out
    assert out.splitlines()[-1] == "1 alarm"
    assert code == 0


@pytest.fixture
def light(capsys: pytest.CaptureFixture[str]):
    from rlhf_core.cli.main import run as in_process

    def call(*words: str):
        code = in_process(list(words))
        return code, *capsys.readouterr()

    return call


def test_show_describes_every_option_of_a_component(light) -> None:
    code, out, _ = light("plugins", "show", "trainer:dpo")
    assert code == 0
    assert "Rafailov" in out
    assert "beta: float = 0.1" in out
    assert light("plugins", "show", "dpo")[0] == 0
    for row in light("plugins", "show", "backbone:lora-gpt2")[1].splitlines():
        if "lora.r: int = 16" in row:
            break
    else:
        pytest.fail("the nested options are not shown")


def test_train_help_with_an_algo_shows_its_options_and_those_of_the_loop(light) -> None:
    code, out, _ = light("train", "--algo", "ppo", "--help")
    assert code == 0
    assert "clip_range: float = 0.2" in out
    assert "learning_rate: float" in out
    assert "--set trainer.NAME=VALUE" in out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["trian"], 2, "did you mean 'train'?"),
        (["train", "--algo", "dop"], 3, "no trainer 'dop'; did you mean 'dpo'?"),
        (["plugins", "show", "trainer:xyz"], 3, "no trainer 'xyz'; there are dpo"),
        (["plugins", "show", "tariner:dpo"], 2, "'tariner' is no kind of component; there are trainer"),
        (["train", "--algo", "dpo", "--config", "quickstrat"], 2, "did you mean 'quickstart'?"),
        (["train"], 2, "--algo is missing: quickstart has the stages sft"),
        (["train", "--algo", "dpo", "--set", "trainer.bta=1"], 2, "--set trainer.bta = 1: unknown option of dpo"),
        (["train", "--algo", "dpo", "--data", "gone.jsonl"], 2, "--data gone.jsonl: no such file in"),
        (["run", "nowhere.yaml"], 2, "recipe nowhere.yaml: no such file in"),
        (["run", "shakespaere"], 2, "no recipe 'shakespaere'; did you mean 'shakespeare'?"),
        (["run", "shakespeare"], 2, "no such file: "),
        (["run", "shakespeare"], 2, "name yours by --data labels=PATH"),
        (["run", "shakespeare", "--data", "lables=x"], 2, "did you mean 'labels'?; it reads works, labels"),
        (["run", "quickstart", "--data", "x.jsonl"], 2, "the recipe has no named files"),
        (["train", "--algo", "sft", "--data", "labels=x"], 2, "the recipe reads no file of that name"),
        (["train", "--algo", "sft", "--data", "a", "--data", "b"], 2, "--data names the stage's data once"),
        (["evaluate", "--run", "nowhere"], 2, "nowhere: no run there"),
        (["-p", "dpo", "plugins"], 2, "write -p no:NAME"),
        (
            ["-p", "no:dpo", "train", "--algo", "dpo"],
            3,
            "plugin rlhf-core/dpo is off: switched off on the command line",
        ),
    ],
)
def test_a_mistake_is_told_in_a_line_with_its_exit_code(
    light, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found, _, err = light(*words)
    assert message in err
    assert found == code
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_all_mistakes_of_a_recipe_are_counted_and_listed(light, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("name: r\nsede: 1\ndata: {sources: [{path: x.jsonl}]}\nstages: [{algo: dpo, trainer: {bta: 1}}]\n")
    code, _, err = light("config", "check", str(path))
    assert code == 2
    assert err.splitlines()[0] == "2 errors:"
    assert f"{path}:2:1: sede = 1: unknown option of the recipe; did you mean 'seed'?" in err
    assert f"{path}:4:32: trainer.bta = 1: unknown option of dpo; did you mean 'beta'?" in err


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = run("--debug", "config", "check", "nowhere.yaml", cwd=tmp_path)
    assert "Traceback" in done.stderr


def test_config_commands(light) -> None:
    assert "quickstart" in light("config", "list")[1]
    assert light("config", "show", "quickstart")[1].startswith("#")
    resolved = light("config", "show", "quickstart", "--set", "stages.dpo.trainer.beta=0.7")[1]
    assert "beta: 0.7" in resolved
    assert light("config", "check", "quickstart")[0] == 0
    assert json.loads(light("config", "schema")[1])["$defs"]["StageOptions"]
