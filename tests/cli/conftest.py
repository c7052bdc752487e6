"""A working folder with a tiny base model, data of a few rows and a recipe of all stages, run once for all tests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

WORDS = ["piano", "baker", "sailor", "clock", "tailor", "gardener", "doctor", "fisher", "banker", "miner"]

RECIPE = """\
name: small
model: {path: base, lora: {r: 2}}
template: {prompt: "{prompt}\\n", completion: "{completion}"}
sampling: {max_new_tokens: 6}
data: {sources: [{path: pairs.jsonl, map: {completion: chosen}}], validation: {fraction: 0.3}}
training: {batch_size: 4, eval_rows: 4, sample_prompts: 2, eval_every: 2, learning_rate: 1.0e-3}
stages:
  - {algo: sft, training: {steps: 2}}
  - {name: reward, algo: reward, from: sft, training: {steps: 2}}
  - {algo: dpo, from: sft, training: {steps: 2}}
  - {algo: ppo, from: sft, training: {steps: 1}, reward: {reward: reward-model, run: "stage:reward"}}
evaluate:
  baseline: sft
  runs: [sft, dpo, ppo]
  data: {sources: [{path: pairs.jsonl}], limit: 3}
  sampling: {max_new_tokens: 6, n: 2}
  evaluators: [{evaluator: text}, {evaluator: reward-model, run: "stage:reward"}, {evaluator: kl}]
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Rlhf = Callable[..., Result]


def make_base(folder: Path, seed: int = 0) -> None:
    """A random GPT-2 of two narrow layers with a byte-level tokenizer."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from rlhf_plugins.pretrain.backbone import train_tokenizer

    tokenizer = train_tokenizer(iter(WORDS), vocabulary=300, context=64)
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=2, n_head=2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder; the recipe in it has been run by ``rlhf run small.yaml``."""
    folder = tmp_path_factory.mktemp("home")
    make_base(folder / "base")
    rows = [{"prompt": f"say {word}", "chosen": f"the {word} sings", "rejected": f"no {word}"} for word in WORDS]
    write_rows(folder / "pairs.jsonl", rows)
    (folder / "small.yaml").write_text(RECIPE)
    before = Path.cwd()
    os.chdir(folder)
    try:
        from rlhf_core.cli.main import run

        assert run(["run", "small.yaml"]) == 0
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture
def rlhf(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Rlhf:
    """The command as a user types it, in this process and in the working folder."""
    monkeypatch.chdir(request.getfixturevalue("home"))

    def call(*words: str) -> Result:
        from rlhf_core.cli.main import run

        capsys.readouterr()
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call
