"""Does it learn? The quickstart recipe with several seeds, measured on the test split, as a table in Markdown.

    python benchmarks/learning.py --seeds 0 1 2 --output runs/learning

The measure is fixed here: the recipe's own evaluation of DPO and PPO against SFT on the test prompts, the reward model
against a bag of words on test pairs, and the same policies on ``test_hard``. Intervals are 95 %, bootstrapped over
prompts (evaluation) or pun words (pairs). The test split is read by this script and by nothing that tunes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from bag_of_words import pair_correctness

import rlhf_core
from rlhf_core.contract.policy import SamplingSpec
from rlhf_core.contract.records import PromptRecord
from rlhf_core.contract.reward import Completion
from rlhf_core.evaluation.statistics import Estimate, clustered_mean, paired_difference
from rlhf_core.math.kl import k1, k3
from rlhf_core.recipe.handle import Run
from rlhf_core.recipe.lending import Lender
from rlhf_core.registry.catalog import default_catalog
from rlhf_core.training.precision import choose_device
from rlhf_plugins.puns.dataset import PunData
from rlhf_plugins.puns.options import KINDS, PunDataOptions

Row = Mapping[str, Any]
TEMPERATURE = 0.7
KL = ("k1", "k3")
HARD = '[{"source": "puns", "view": "prompts", "split": "test_hard"}]'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--output", type=Path, default=Path("runs/learning"))
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        folder = arguments.output / f"seed-{seed}"
        seconds = run_recipe(arguments.recipe, seed, folder)
        print(f"\n## Seed {seed} ({seconds:.0f} s)\n")
        print("\n".join([*sft_lines(folder), *pair_lines(folder), *policy_lines(folder)]), flush=True)


def run_recipe(recipe: str, seed: int, folder: Path) -> float:
    from rlhf_core.cli.main import run

    start = time.monotonic()
    code = run(["run", recipe, "--seed", str(seed), "--output", str(folder)])
    if code:
        raise SystemExit(code)
    return time.monotonic() - start


def sft_lines(folder: Path) -> list[str]:
    losses = [row["loss"] for row in Run(folder / "sft").metrics if row["split"] == "validation"]
    return [f"SFT validation loss: {losses[0]:.3f} → {losses[-1]:.3f} (best {min(losses):.3f})", ""]


def pair_lines(folder: Path) -> list[str]:
    """Accuracy of reward model and bags of words on test pairs, by origin and kind of rejected line."""
    trained_on = pair_rows("train", training_pairs(folder / "reward"))
    test = pair_rows("test", {"kinds": dict.fromkeys(KINDS, 1.0)})
    model = model_correctness(folder / "reward", test)
    train_pairs, test_pairs = ([triple(row) for row in rows] for rows in (trained_on, test))
    words = pair_correctness(train_pairs, test_pairs)
    topical = pair_correctness(train_pairs, test_pairs, overlap=True)
    lines = [
        "| pairs | rejected line | n | reward model | words | model − words | words and overlap | model − both |",
        "|---|---|---|---|---|---|---|---|",
    ]
    cells = [(origin, kind) for origin in ("record", "generated") for kind in KINDS]
    for origin, kind in [("all", "unrelated"), *cells]:
        at = [i for i, row in enumerate(test) if row["kind"] == kind and origin in ("all", row["origin"])]
        if not at:
            continue
        groups = [str(test[i]["pun_word"]) for i in at]
        columns = [[scores[i] for i in at] for scores in (model, words, topical)]
        means = [clustered_mean(column, groups).value for column in columns]
        against = [paired_difference(columns[0], groups, column, groups) for column in columns[1:]]
        own, plain, with_overlap = (f"{mean:.3f}" for mean in means)
        cells_of_row = [origin, kind, str(len(at)), own, plain, shown(against[0]), with_overlap, shown(against[1])]
        lines.append(f"| {' | '.join(cells_of_row)} |")
    return [*lines, ""]


def training_pairs(run: Path) -> dict[str, Any]:
    """How the reward model's own training pairs were made: the bags of words learn from the very same ones."""
    source = Run(run).config["stages"][0]["data"]["sources"][0]
    return {key: source[key] for key in ("kinds", "generated", "seed") if source.get(key) is not None}


def pair_rows(split: str, options: Mapping[str, Any]) -> list[Row]:
    return list(PunData(PunDataOptions(view="pairs", **options)).rows(split))


def triple(row: Row) -> tuple[str, str, str]:
    return str(row["prompt"]), str(row["chosen"]), str(row["rejected"])


def model_correctness(run: Path, rows: Sequence[Row]) -> list[float]:
    from rlhf_plugins.reward_model.options import RewardModelScoreOptions
    from rlhf_plugins.reward_model.source import RewardModelScore

    source = RewardModelScore(RewardModelScoreOptions(run=str(run)))
    source.policy = Lender(default_catalog(), choose_device("cpu"), Path.cwd()).open_policy(str(run))
    sides = [
        source.score([Completion(prompt=str(row["prompt"]), text=str(row[side])) for row in rows])
        for side in ("chosen", "rejected")
    ]
    return [float(chosen > rejected) for chosen, rejected in zip(*sides, strict=True)]


def policy_lines(folder: Path) -> list[str]:
    lines = ["| metric (test prompts) | SFT | DPO | DPO − SFT | PPO | PPO − SFT |", "|---|---|---|---|---|---|"]
    summaries = {name: summary(folder / name / "evaluation" / "recipe.json") for name in ("dpo", "ppo")}
    for metric, row in summaries["dpo"].items():
        # What needs training texts is measured for DPO alone.
        if (other := summaries["ppo"].get(metric)) is None:
            continue
        lines.append(
            f"| {metric} | {number(row['baseline_mean'])} | {number(row['mean'])} | {difference(row)} | "
            f"{number(other['mean'])} | {difference(other)} |"
        )
    lines += ["", "| KL to SFT, nats per completion | DPO | PPO |", "|---|---|---|"]
    divergences = [kl_to_sft(folder, name) for name in ("dpo", "ppo")]
    lines += [f"| {name} | {shown(divergences[0][i])} | {shown(divergences[1][i])} |" for i, name in enumerate(KL)]
    lines += ["", "| strict pun rate | SFT | DPO | PPO |", "|---|---|---|---|"]
    for label, ending in (("on held-out topics", True), ("on hand-written prompts", False)):
        rates = [pun_rate(folder, name, ending) for name in ("sft", "dpo", "ppo")]
        lines.append(f"| {label} | {' | '.join(f'{rate:.3f}' for rate in rates)} |")
    found = [
        rlhf_core.evaluate(folder / name, evaluators=["puns"], set=[f"data.sources={HARD}"], name="hard")
        for name in ("sft", "dpo", "ppo")
    ]
    hard = [f"{run['puns/pun'].estimate.value:.3f}" for run in found]
    lines.append(f"| on test_hard | {' | '.join(hard)} |")
    return lines


def kl_to_sft(folder: Path, name: str) -> list[Estimate]:
    """k1 and k3 on fresh answers to the test prompts, both policies at the recipe's temperature."""
    policy, reference = Run(folder / name).policy, Run(folder / "sft").policy
    records = [
        PromptRecord(id=str(row["id"]), prompt=str(row["prompt"]))
        for row in PunData(PunDataOptions(view="prompts")).rows("test")
    ]
    spec = SamplingSpec(max_new_tokens=32, temperature=TEMPERATURE)
    rollouts = policy.sample([policy.codec.encode(record) for record in records], spec, seed=0)
    with torch.no_grad():
        own = policy.score(rollouts, temperature=TEMPERATURE)
        other = reference.score(rollouts, temperature=TEMPERATURE)
    groups = [row.record_id for row in rollouts]
    per_token = [estimate(own.logprobs, other.logprobs) for estimate in (k1, k3)]
    return [clustered_mean(masked.sum(1).tolist(), groups) for masked in per_token]


def summary(path: Path) -> dict[str, Row]:
    return {row["name"]: row for row in json.loads(path.read_text())["summary"]}


def pun_rate(folder: Path, name: str, on_topics: bool) -> float:
    path = folder / name / "evaluation" / "recipe.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    chosen = [row["puns/pun"] for row in rows if row["of"] == "run" and ("-topic-" in row["group"]) is on_topics]
    return sum(chosen) / len(chosen)


def shown(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} … {estimate.high:+.3f})"


def difference(row: Row) -> str:
    if row["difference"] is None:
        return "–"
    return f"{row['difference']:+.3f} ({number(row['difference_low'])} … {number(row['difference_high'])})"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
