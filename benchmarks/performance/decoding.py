"""Sampling: tokens per CPU second of ours and of transformers' ``generate``, on the same prompts, in turns.

    OMP_NUM_THREADS=1 python benchmarks/performance/decoding.py W1 W1F --rounds 3
    OMP_NUM_THREADS=1 python benchmarks/performance/decoding.py W1 --way int8   # or with a technique switched off
    OMP_NUM_THREADS=1 python benchmarks/performance/decoding.py W1 --as-trl     # adapter apart and logits kept
    python benchmarks/performance/decoding.py W2F --device cuda --batch 64      # seconds of the clock

W1 and W2 end their completions by EOS, W1F and W2F run to their full length. ``generate`` stops when its last row has
ended; tokens behind a row's EOS do not count. The adapter is off on both sides, unless ``generate`` is to run as TRL
1.12's PPO runs it; ours is then a policy with an adapter as well.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from fixtures import EOS, PAD, fixture, read_table
from measuring import THREADS, finish
from peft import LoraConfig, get_peft_model
from task import DEVICES, Device
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging
from workloads import LORA_ALPHA, LORA_R, LORA_TARGET, WORKLOADS, Workload

from rlhf_core.contract.backbone import Trunk
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Row
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.policy import quick_linears
from rlhf_core.policy.policy import TrunkPolicy
from rlhf_core.policy.runners import FlatRunner, TransformersRunner
from rlhf_core.training.precision import autocast, choose_precision

LORA = {
    "r": LORA_R, "lora_alpha": LORA_ALPHA, "target_modules": [LORA_TARGET], "lora_dropout": 0.0,
    "fan_in_fan_out": True, "task_type": "CAUSAL_LM",
}  # fmt: skip
RUNNERS = {"flat": FlatRunner, "transformers": TransformersRunner}
WAYS = ("usual", "int8", "unpacked", *RUNNERS)
"""``unpacked``: weights as they lie in the model; ``flat``: no CUDA graphs; ``transformers``: its own forward pass."""


@dataclass(frozen=True)
class Decoded:
    """Tokens per CPU second, a number per round."""

    workload: str
    batch: int
    ours: list[float]
    theirs: list[float]

    def line(self) -> str:
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        ratios = [mine / other for mine, other in zip(self.ours, self.theirs, strict=True)]
        end = "full length" if self.workload.endswith("F") else "EOS"
        return (
            f"| {self.workload}, batch {self.batch}, {end} | {theirs:.0f} | {ours:.0f} "
            f"| **{ours / theirs:.2f}** ({min(ratios):.2f}–{max(ratios):.2f}) |"
        )


HEAD = "| | generate, tokens/s | ours, tokens/s | ours / generate (rounds) |\n|---|---|---|---|"


def compare(workload: Workload, *, rounds: int, way: str, as_trl: bool, batch: int | None, device: Device) -> Decoded:
    batch = batch or workload.jobs["ppo"].batch
    words = [row["prompt"].split() for row in read_table(fixture(workload), "prompts")[:batch]]
    prompts = [tuple(int(word[1:]) for word in line) for line in words]
    sides = {
        "ours": our_sampler(workload, prompts, way, adapted=as_trl, device=device),
        "theirs": their_sampler(workload, prompts, as_trl=as_trl, device=device),
    }
    speeds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for seed in range(rounds + 1):
        for name, sample in sides.items():
            clock = time.process_time if device == "cpu" else time.perf_counter
            before = clock()
            with autocast(choose_precision("auto", torch.device(device)), torch.device(device)):
                tokens = sample(seed)
            finish(device)
            if seed:  # the first time is the warm-up
                speeds[name].append(tokens / (clock() - before))
    return Decoded(workload.name, batch, speeds["ours"], speeds["theirs"])


def our_sampler(
    workload: Workload, prompts: list[tuple[int, ...]], way: str, *, adapted: bool, device: Device
) -> Callable[[int], int]:
    """A function of the seed that samples and returns the number of tokens."""
    model, tokenizer = their_model(workload), AutoTokenizer.from_pretrained(fixture(workload) / "base")
    codec = TextCodec(tokenizer, TemplateOptions(), context_length=workload.model.positions)
    trunk = Trunk(model=model, tokenizer=tokenizer, lora=LORA if adapted else None, adapter=None)
    policy = TrunkPolicy(trunk, codec, device=torch.device(device))
    if way == "unpacked":
        quick_linears.SMALLEST = 2**62
    if way in RUNNERS:
        vars(policy)["_runner"] = RUNNERS[way]
    rows = [Row(record_id=str(index), prompt=prompt) for index, prompt in enumerate(prompts)]
    spec = SamplingSpec(max_new_tokens=workload.decoded, precision="int8" if way == "int8" else "full")

    def sample(seed: int) -> int:
        rollouts = policy.sample(rows, spec, seed=seed)
        return sum(len(tokens) for rollout in rollouts for tokens in rollout.completions)

    return sample


def their_sampler(
    workload: Workload, prompts: list[tuple[int, ...]], *, as_trl: bool, device: Device
) -> Callable[[int], int]:
    """TRL's PPO (``batch_generation``) keeps every step's logits and takes the tokens' logprobs from them."""
    model = their_model(workload)
    if as_trl:
        model = get_peft_model(model, LoraConfig(**LORA)).eval()
    model.to(device)
    width = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)

    @torch.no_grad()
    def sample(seed: int) -> int:
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=workload.decoded, do_sample=True, temperature=1.0,
            top_k=0, top_p=1.0, eos_token_id=EOS, pad_token_id=PAD, return_dict_in_generate=True, output_logits=as_trl,
        )  # fmt: skip
        found = output.sequences[:, width:]
        if as_trl:
            for logits, tokens in zip(torch.stack(output.logits, 1), found, strict=True):
                logits.log_softmax(-1).gather(1, tokens[:, None])
        ended = found == EOS
        return int(((ended.cumsum(1) - ended.int()) == 0).sum())

    return sample


def their_model(workload: Workload) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(fixture(workload) / "base", dtype=torch.float32).eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="+", choices=WORKLOADS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, default="usual", help="How ours decodes.")
    parser.add_argument("--batch", type=int, help="Prompts; the workload's own by default.")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--as-trl", action="store_true", help="Adapters on both sides; generate keeps the logits.")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    print(HEAD)
    for name in arguments.workloads:
        one = compare(
            WORKLOADS[name], rounds=arguments.rounds, way=arguments.way, as_trl=arguments.as_trl,
            batch=arguments.batch, device=arguments.device,
        )  # fmt: skip
        print(one.line(), flush=True)


if __name__ == "__main__":
    main()
