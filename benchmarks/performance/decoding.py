"""Sampling: tokens per CPU second of ours and of transformers' ``generate``, on the same prompts, in turns.

    OMP_NUM_THREADS=1 python benchmarks/performance/decoding.py W1 W1F --rounds 3

W1 and W2 end their completions by EOS, W1F and W2F run to their full length. ``generate`` stops when its last row has
ended; tokens behind a row's EOS do not count. The adapter is off on both sides.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from fixtures import EOS, PAD, fixture, read_table
from measuring import THREADS
from transformers import AutoModelForCausalLM
from transformers.utils import logging
from workloads import WORKLOADS, Workload

from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.rows import Row
from rlhf_core.data.codec import TextCodec
from rlhf_core.data.options import TemplateOptions
from rlhf_core.policy.loading import load_policy


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


def compare(workload: Workload, *, rounds: int) -> Decoded:
    batch = workload.jobs["ppo"].batch
    words = [row["prompt"].split() for row in read_table(fixture(workload), "prompts")[:batch]]
    prompts = [tuple(int(word[1:]) for word in line) for line in words]
    sides = {"ours": our_sampler(workload, prompts), "theirs": their_sampler(workload, prompts)}
    speeds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for seed in range(rounds + 1):
        for name, sample in sides.items():
            before = time.process_time()
            tokens = sample(seed)
            if seed:  # the first time is the warm-up
                speeds[name].append(tokens / (time.process_time() - before))
    return Decoded(workload.name, batch, speeds["ours"], speeds["theirs"])


def our_sampler(workload: Workload, prompts: list[tuple[int, ...]]) -> Callable[[int], int]:
    """A function of the seed that samples and returns the number of tokens."""
    policy = load_policy(
        fixture(workload) / "base", device=torch.device("cpu"), dtype=torch.float32,
        make_codec=lambda tokenizer, _template, context: TextCodec(
            tokenizer, TemplateOptions(), context_length=context
        ),
    )  # fmt: skip
    rows = [Row(record_id=str(index), prompt=prompt) for index, prompt in enumerate(prompts)]
    spec = SamplingSpec(max_new_tokens=workload.decoded, temperature=1.0)

    def sample(seed: int) -> int:
        rollouts = policy.sample(rows, spec, seed=seed)
        return sum(len(tokens) for rollout in rollouts for tokens in rollout.completions)

    return sample


def their_sampler(workload: Workload, prompts: list[tuple[int, ...]]) -> Callable[[int], int]:
    model = AutoModelForCausalLM.from_pretrained(fixture(workload) / "base", dtype=torch.float32).eval()
    width = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])

    def sample(seed: int) -> int:
        torch.manual_seed(seed)
        found = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=workload.decoded, do_sample=True, temperature=1.0,
            top_k=0, top_p=1.0, eos_token_id=EOS, pad_token_id=PAD,
        )[:, width:]  # fmt: skip
        ended = found == EOS
        return int(((ended.cumsum(1) - ended.int()) == 0).sum())

    return sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="+", choices=WORKLOADS)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    print(HEAD)
    for name in arguments.workloads:
        print(compare(WORKLOADS[name], rounds=arguments.rounds).line(), flush=True)


if __name__ == "__main__":
    main()
