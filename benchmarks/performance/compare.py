"""Ours and TRL on the same work, in turns: what a step costs, and that the losses are the same.

    python benchmarks/performance/compare.py W1 W2 --algos dpo sft --rounds 3

Prints a table; ``results.json`` in the folder of the fixtures gets every round. CPU seconds of one thread are what to
quote on a machine that others use, too; the ratio is that of the medians, with the rounds' own beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from environments import trl_version
from fixtures import ROOT
from floor import floor_seconds
from machine import Machine
from machine import measure as measure_machine
from measuring import Measured
from sides import Side, run
from task import DEVICES, Task
from workloads import ALGOS, WORKLOADS, Algo

LARGEST_DIFFERENCE = {"cpu": 1e-5, "cuda": 2e-2}
"""Between two losses of one step: of float32, and of bfloat16."""


@dataclass(frozen=True)
class Comparison:
    """Args: floor: CPU seconds, where it is known. ours, theirs: a measurement per round."""

    task: Task
    floor: float | None
    ours: Sequence[Measured]
    theirs: Sequence[Measured]

    def median(self, side: str, name: str) -> float:
        values: list[float] = [getattr(one, name) for one in getattr(self, side)]
        return statistics.median(values)

    def cost(self, one: Measured) -> float:
        """Seconds of a step; of a sampled token where the two sides sample different numbers of them."""
        return one.seconds / (one.generated or 1) if self.per_token else one.seconds

    @property
    def per_token(self) -> bool:
        return self.task.algo == "ppo" and not self.task.name.endswith("F")

    @property
    def ratio(self) -> float:
        theirs, ours = (statistics.median(map(self.cost, side)) for side in (self.theirs, self.ours))
        return theirs / ours

    @property
    def ratios(self) -> list[float]:
        return [self.cost(other) / self.cost(mine) for mine, other in zip(self.ours, self.theirs, strict=True)]

    @property
    def difference(self) -> float | None:
        """Of the losses, at most; PPO samples its own texts, and TRL fine-tunes another value network."""
        if self.task.algo == "ppo":
            return None
        return max(
            abs(a - b)
            for mine, other in zip(self.ours, self.theirs, strict=True)
            for a, b in zip(mine.losses, other.losses, strict=True)
        )

    def line(self) -> str:
        ours, theirs = self.median("ours", "seconds"), self.median("theirs", "seconds")
        mine, other = self.median("ours", "peak_mb"), self.median("theirs", "peak_mb")
        what = f"{self.task.name} {self.task.algo}, batch {self.task.job.batch}"
        what += (", reference cached" if self.task.cached else "") + (", per sampled token" if self.per_token else "")
        floor, distance = ("", "") if self.floor is None else (f"{self.floor:.2f}", f"{ours / self.floor:.2f}")
        spread = f"{min(self.ratios):.2f}–{max(self.ratios):.2f}"
        positions = f"{self.median('theirs', 'positions'):.0f} → {self.median('ours', 'positions'):.0f}"
        agreement = "" if self.difference is None else f"{self.difference:.0e}"
        return (
            f"| {what} | {theirs:.2f} | {ours:.2f} | **{self.ratio:.2f}** ({spread}) | {floor} "
            f"| {distance} | {other:.0f} → {mine:.0f} ({mine / other:.2f}) | {positions} | {agreement} |"
        )


HEAD = (
    "| | TRL, s | ours, s | TRL / ours (rounds) | floor, s | ours / floor | peak MB (ratio) "
    "| positions per step | max. Δloss |\n|---|---|---|---|---|---|---|---|---|"
)


def compare(task: Task, machine: Machine | None, *, rounds: int, threads: int = 1) -> Comparison:
    """The sides in turns; who begins alternates. Without a machine that was measured no floor is told."""
    found: list[dict[Side, Measured]] = []
    for turn in range(rounds):
        sides: list[Side] = ["ours", "theirs"] if turn % 2 == 0 else ["theirs", "ours"]
        found.append({side: run(side, task, threads=threads) for side in sides})
    ours, theirs = ([one[side] for one in found] for side in ("ours", "theirs"))
    generated = statistics.median(one.generated for one in ours)
    floor = None if machine is None else floor_seconds(task, machine, generated=generated)
    return Comparison(task, floor, ours, theirs)


def cached(name: str, algo: Algo = "dpo", *, epoch: int = 4) -> Task:
    """Twice through little data: the second time is measured."""
    batch = WORKLOADS[name].jobs[algo].batch
    return Task(name, algo, records=epoch * batch, steps=2 * epoch, warmup=epoch, cached=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="+", choices=WORKLOADS)
    parser.add_argument("--algos", nargs="+", choices=ALGOS, default=list(ALGOS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, help="fewer than the workload's own, on a busy machine")
    parser.add_argument("--warmup", type=int, help="how many of them are not counted")
    parser.add_argument("--cached", action="store_true", help="DPO with reference logprobs worked out before")
    parser.add_argument("--length", type=int, help="tokens of every row")
    parser.add_argument(
        "--device", choices=DEVICES, default="cpu", help="cuda: seconds of the clock; no floor is known"
    )
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    machine = measure_machine() if arguments.device == "cpu" else None
    asked = {name: getattr(arguments, name) for name in ("batch", "steps", "warmup", "length", "device")}
    tasks = [
        cached(name, algo) if arguments.cached else Task(name, algo, **asked)
        for name in arguments.workloads
        for algo in arguments.algos
    ]
    report(compare(task, machine, rounds=arguments.rounds, threads=arguments.threads) for task in tasks)


def report(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Print the table and keep the rounds. Raises: SystemExit where losses differ."""
    print(HEAD)
    found = []
    for one in comparisons:
        print(one.line(), flush=True)
        keep(one)
        found.append(one)
    for one in found:
        largest = LARGEST_DIFFERENCE[one.task.device]
        if (one.difference or 0) > largest:
            raise SystemExit(f"{one.task.name} {one.task.algo}: the losses differ by more than {largest:g}")
    return found


def keep(one: Comparison) -> None:
    with (ROOT / "results.jsonl").open("a") as file:
        file.write(json.dumps({**asdict(one), "trl": trl_version(one.task.algo)}) + "\n")


if __name__ == "__main__":
    main()
