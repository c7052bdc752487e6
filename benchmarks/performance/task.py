"""One training to be measured, as the command lines of both sides name it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Final, Literal

from workloads import ALGOS, WORKLOADS, Algo, Job, Workload

Device = Literal["cpu", "cuda"]
DEVICES: Final[tuple[Device, ...]] = ("cpu", "cuda")


@dataclass(frozen=True)
class Task:
    """Args: batch, steps, warmup, records, length: None for the workload's own; length is of every row in tokens.
    cached: DPO's reference logprobs are there before the first step that is measured.
    device: ``cpu`` in float32, ``cuda`` in bfloat16 by autocast."""

    name: str
    algo: Algo
    batch: int | None = None
    steps: int | None = None
    warmup: int | None = None
    records: int | None = None
    length: int | None = None
    cached: bool = False
    device: Device = "cpu"

    @property
    def workload(self) -> Workload:
        found = WORKLOADS[self.name]
        found = found.with_length(self.length) if self.length else found
        return found.with_records(self.records) if self.records else found

    @property
    def job(self) -> Job:
        own = WORKLOADS[self.name].jobs[self.algo]
        steps = self.steps or own.steps
        warmup = own.warmup if self.warmup is None else self.warmup
        return Job(self.batch or own.batch, steps, min(warmup, steps - 1), own.learning_rate)

    def options(self) -> list[str]:
        """For the command line of either side."""
        given = ((name, getattr(self, name)) for name in ("batch", "steps", "warmup", "records", "length"))
        numbers = [word for name, value in given if value is not None for word in (f"--{name}", str(value))]
        return [self.name, self.algo, "--device", self.device, *numbers, *(["--cached"] if self.cached else [])]


def parser(doc: str | None) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("name", choices=WORKLOADS)
    found.add_argument("algo", choices=ALGOS)
    found.add_argument("--batch", type=int, help="rows per step")
    found.add_argument("--steps", type=int, help="how many in all")
    found.add_argument("--warmup", type=int, help="steps that are not counted")
    found.add_argument("--records", type=int, help="rows in the data")
    found.add_argument("--length", type=int, help="tokens of every row")
    found.add_argument("--device", choices=DEVICES, default="cpu")
    found.add_argument("--cached", action="store_true", help="DPO's reference logprobs before the measured steps")
    return found


def task_of(arguments: argparse.Namespace) -> Task:
    return Task(**{name: getattr(arguments, name) for name in Task.__dataclass_fields__})
