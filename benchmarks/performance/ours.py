"""One training of ours on a workload, by ``rlhf_core.train`` as a user calls it; prints what was measured as JSON.

    OMP_NUM_THREADS=1 python benchmarks/performance/ours.py W1 dpo

Only the first weights are not as a user would have them: those of the fixture, which TRL begins with, too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers
from fixtures import fixture
from measuring import THREADS, Watch
from safetensors.torch import load_file
from task import Device, parser, task_of
from torch.nn import Parameter
from transformers.models.gpt2.modeling_gpt2 import GPT2Model
from workloads import BETA, LORA_ALPHA, LORA_R, LORA_TARGET, PPO_EPOCHS, Algo, Job, Workload

import rlhf_core
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.recipe.observing import Listener

TABLES: Mapping[Algo, str] = {"sft": "demonstrations", "dpo": "pairs", "reward": "pairs", "ppo": "prompts"}
NEVER = 10**9


class Watcher(Listener):
    """Marks the steps and keeps their losses."""

    def __init__(self, watch: Watch, batch: int) -> None:
        self.watch, self.batch = watch, batch

    def started(self, step: int, steps: int) -> None:
        self.watch.mark()

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        self.watch.mark()
        self.watch.losses.append(metrics["loss"])
        self.watch.generated.append(metrics.get("length", 0.0) * self.batch)


def train(workload: Workload, algo: Algo, job: Job, folder: Path, device: Device) -> Watch:
    """Train in ``folder``, which is left behind."""
    source = fixture(workload)
    start_from(load_file(source / "start.safetensors"))
    watch = Watch(GPT2Model, device)
    (folder / "recipe.yaml").write_text(json.dumps(recipe(workload, algo, job, source, device)))
    rlhf_core.train(
        algo, config=str(folder / "recipe.yaml"), output=folder / "run", tell=lambda _line: None,
        observers=lambda _stage: [Watcher(watch, job.batch)],
    )  # fmt: skip
    return watch


def recipe(workload: Workload, algo: Algo, job: Job, source: Path, device: Device) -> dict[str, Any]:
    """One stage. Nothing is saved and nothing evaluated between the steps; a line of metrics is written at each."""
    stage: dict[str, Any] = {
        "name": algo,
        "algo": algo,
        "data": {"sources": [{"path": str(source / f"{TABLES[algo]}.jsonl")}]},
        "training": {
            "steps": job.steps, "batch_size": job.batch, "learning_rate": job.learning_rate, "schedule": "constant",
            "warmup": 0.0, "max_grad_norm": 1.0 if algo == "ppo" else None, "save_every": NEVER,
            "device": device,
        },
    }  # fmt: skip
    match algo:
        case "dpo":
            stage["trainer"] = {"beta": BETA}
        case "reward":
            stage["trainer"] = {"centering": 0.0}
        case "ppo":
            # The exact KL is a reading that TRL has no counterpart of.
            stage["trainer"] = {"inner_epochs": PPO_EPOCHS, "minibatches": 1, "exact_kl_positions": 0}
            stage["reward"] = {"reward": "reward-model", "run": str(reward_run(workload, source))}
    lora = {"r": LORA_R, "alpha": LORA_ALPHA, "targets": [LORA_TARGET]}
    return {
        "name": "bench",
        "template": {"prompt": "{prompt}", "completion": " {completion}"},
        "model": {"backbone": "lora-gpt2", "path": str(source / "base"), "lora": lora},
        "sampling": {"max_new_tokens": workload.response_length, "temperature": 1.0},
        "stages": [stage],
    }


def reward_run(workload: Workload, source: Path) -> Path:
    """A reward model of one step, trained by another process so that its memory is not counted."""
    run = source / "reward" / "run"
    if not run.exists():
        (source / "reward").mkdir(exist_ok=True)
        command = [sys.executable, __file__, workload.name, "reward", "--steps", "1", "--folder", str(run.parent)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return run


def start_from(weights: Mapping[str, torch.Tensor]) -> None:
    """Give trained roles and the reward head these first weights."""
    train_role, add_head = TrunkPolicy.train_role, TrunkPolicy.add_head

    @torch.no_grad()
    def train_role_from(policy: TrunkPolicy, role: str) -> list[Parameter]:
        parameters = train_role(policy, role)
        for name, parameter in policy.trained().items():
            if found := re.search(rf"\.h\.(\d+)\..*\.lora_([AB])\.{role}\.", name):
                parameter.copy_(weights[".".join(found.groups())])
        return parameters

    @torch.no_grad()
    def add_head_from(policy: TrunkPolicy, name: str, **keywords: Any) -> list[Parameter]:
        weight, bias = add_head(policy, name, **keywords)
        if name == "reward":
            weight.copy_(weights["score"])
        return [weight, bias]

    TrunkPolicy.train_role = train_role_from  # type: ignore[method-assign, assignment]
    TrunkPolicy.add_head = add_head_from  # type: ignore[method-assign, assignment]


@contextmanager
def profiled() -> Iterator[None]:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        yield
    print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=25), file=sys.stderr)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, help="keep the run here")
    options.add_argument("--profile", action="store_true", help="where the time goes, on stderr; slows the steps down")
    arguments = options.parse_args()
    task = task_of(arguments)
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or Path(scratch)).resolve()
        os.chdir(folder)
        os.environ["RLHF_CACHE"] = str(folder / "cache")  # reference logprobs of earlier runs would be found there
        with profiled() if arguments.profile else nullcontext():
            watch = train(task.workload, task.algo, task.job, folder, task.device)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    watch.result(versions, warmup=task.job.warmup).print()


if __name__ == "__main__":
    main()
