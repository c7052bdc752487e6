"""Are faults named and healthy runs left in peace? Trains the cases and prints tables in Markdown.

    python benchmarks/alarms/run.py --output runs/alarms

Runs that are there already are kept. Thresholds are set on the half called ``set``; ``held`` is what counts.
``--half set`` neither trains nor reads the held cases.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from case import Case
from cases import CASES
from running import run_case

from rlhf_core.recipe.doctor.diagnosis import diagnose
from rlhf_core.store.run import RunFolder


@dataclass(frozen=True)
class Told:
    """What a run said. Args: alarms: names, in the order they were first raised. stopped: the engine's message."""

    alarms: Sequence[str]
    stopped: str = ""

    def names(self, case: Case) -> bool:
        """Whether the fault is among the alarms, or is what the engine stopped for."""
        return case.alarm in self.alarms or self.stops_for(case)

    def stops_for(self, case: Case) -> bool:
        return case.stop is not None and case.stop in self.stopped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/alarms"))
    parser.add_argument("--half", choices=list(CASES), help="only these cases")
    parser.add_argument("--trained", action="store_true", help="train nothing; count the cases that are not there")
    arguments = parser.parse_args()
    halves = {half: cases for half, cases in CASES.items() if arguments.half in (None, half)}
    told: dict[str, Told] = {}
    for case in [case for cases in halves.values() for case in cases]:
        run = RunFolder(arguments.output / case.name) if arguments.trained else run_case(case, arguments.output)
        if run.exists and run.status in ("finished", "failed"):
            alarms = dict.fromkeys(alarm.name for alarm in diagnose(run).alarms)
            told[case.name] = Told(list(alarms), str(run.info.get("error") or ""))
    print("\n".join([*summary(halves, told), "", *lines(halves, told)]))


def summary(halves: Mapping[str, Sequence[Case]], told: Mapping[str, Told]) -> list[str]:
    """Per half: faults named, by what and how plainly; healthy runs with an alarm; cases without a run."""
    rows = ["| half | faults named | of them by a stop | raised first | raised alone | false alarms | not run |"]
    rows.append("|---" * 7 + "|")
    for half, cases in halves.items():
        there = [(case, told[case.name]) for case in cases if case.name in told]
        faults = [(case, found) for case, found in there if case.alarm]
        healthy = [found for case, found in there if not case.alarm]
        cells = [
            f"{sum(found.names(case) for case, found in faults)} of {len(faults)}",
            sum(found.stops_for(case) for case, found in faults),
            sum(list(found.alarms[:1]) == [case.alarm] for case, found in faults),
            sum(list(found.alarms) == [case.alarm] for case, found in faults),
            f"{sum(bool(found.alarms) or bool(found.stopped) for found in healthy)} of {len(healthy)}",
            len(cases) - len(there),
        ]
        rows.append(f"| {half} | {' | '.join(map(str, cells))} |")
    return rows


def lines(halves: Mapping[str, Sequence[Case]], told: Mapping[str, Told]) -> list[str]:
    rows = ["| case | half | right | raised, in order |", "|---|---|---|---|"]
    for half, cases in halves.items():
        for case in cases:
            if case.name in told:
                found = told[case.name]
                right = found.names(case) if case.alarm else not (found.alarms or found.stopped)
                raised = ", ".join([*found.alarms, *(["stopped: " + found.stopped] * bool(found.stopped))]) or "–"
                rows.append(f"| {case.name} | {half} | {'yes' if right else 'NO'} | {raised} |")
    return rows


if __name__ == "__main__":
    main()
