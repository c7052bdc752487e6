"""DPO on W1 as batches, texts or the data grow: CPU seconds, memory, time to the first step; ours and TRL.

    python benchmarks/performance/scaling.py batch length records --plots docs/performance

Prints a table for each, and draws the first two as SVG files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring import Measured
from plots import write_plot
from sides import Side, run
from task import Task

BATCHES = (2, 4, 8, 16, 32)
LENGTHS = (64, 128, 256, 512, 1024)
RECORDS = (100, 1_000, 10_000, 100_000)
STEPS, WARMUP = 8, 2
SIDES: Sequence[Side] = ("ours", "theirs")


@dataclass(frozen=True)
class Point:
    """Both sides at one size."""

    size: int
    task: Task
    sides: dict[Side, Measured]


def measure(name: str) -> Iterator[Point]:
    make: dict[str, tuple[Sequence[int], Callable[[int], Task]]] = {
        "batch": (BATCHES, lambda size: Task("W1", "dpo", batch=size, steps=STEPS, warmup=WARMUP)),
        "length": (LENGTHS, lambda size: Task("W1", "dpo", batch=4, length=size, records=64, steps=5, warmup=1)),
        "records": (RECORDS, lambda size: Task("W1", "dpo", records=size, steps=2, warmup=1)),
    }
    sizes, task_of = make[name]
    for size in sizes:
        task = task_of(size)
        yield Point(size, task, {side: run(side, task) for side in SIDES})


def per_pair(point: Point, side: Side) -> float:
    """CPU milliseconds."""
    return 1000 * point.sides[side].cpu / point.task.job.batch


def peak(point: Point, side: Side) -> float:
    return point.sides[side].peak_mb


def start(point: Point, side: Side) -> float:
    return point.sides[side].start


@dataclass(frozen=True)
class Column:
    """Args: title: what is told of each side."""

    title: str
    of: Callable[[Point, Side], float]

    def cell(self, point: Point) -> str:
        theirs, ours = self.of(point, "theirs"), self.of(point, "ours")
        return (
            f"{theirs:.3g} → {ours:.3g} ({theirs / ours:.2f}×)"
            if theirs < 1000
            else (f"{theirs:.0f} → {ours:.0f} ({theirs / ours:.2f}×)")
        )


PAIR, PEAK = Column("CPU ms per pair, TRL → ours", per_pair), Column("peak MB, TRL → ours", peak)
START = Column("CPU s to the end of the first step, TRL → ours", start)
COLUMNS = {"batch": (PAIR, PEAK), "length": (PAIR, PEAK), "records": (START, PEAK)}
LABELS = {"batch": "pairs per step", "length": "tokens of prompt and completion", "records": "records"}


def table(name: str, points: Sequence[Point]) -> Iterator[str]:
    columns = COLUMNS[name]
    yield "| " + " | ".join([LABELS[name], *(column.title for column in columns)]) + " |"
    yield "|" + "---|" * (len(columns) + 1)
    for point in points:
        yield "| " + " | ".join([str(point.size), *(column.cell(point) for column in columns)]) + " |"


def draw(name: str, points: Sequence[Point], folder: Path) -> None:
    for what, value in (("pair", per_pair), ("memory", peak)):
        lines = {
            label: [(float(point.size), value(point, side)) for point in points]
            for label, side in (("ours", SIDES[0]), ("TRL", SIDES[1]))
        }
        y_label = "CPU ms per pair" if what == "pair" else "peak MB"
        write_plot(folder / f"{name}-{what}.svg", lines, x_label=LABELS[name], y_label=y_label)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=COLUMNS)
    parser.add_argument("--plots", type=Path, help="folder for the SVG files")
    arguments = parser.parse_args()
    for name in arguments.what:
        points = list(measure(name))
        print("\n".join(table(name, points)), end="\n\n", flush=True)
        if arguments.plots and name != "records":
            draw(name, points, arguments.plots)


if __name__ == "__main__":
    main()
