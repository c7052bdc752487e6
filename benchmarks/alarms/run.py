"""Are faults named and healthy runs left in peace? Trains the cases and prints a table in Markdown.

    python benchmarks/alarms/run.py --output runs/alarms

Runs that are there already are kept. Thresholds were set on the half called ``set``; ``held`` is what counts.
``--half set`` neither trains nor reads the held cases.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from cases import CASES, Case, half
from running import run_case

from rlhf_core.recipe.diagnosis import diagnose
from rlhf_core.store.run import RunFolder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/alarms"))
    parser.add_argument("--half", choices=["set", "held"], help="only these cases")
    parser.add_argument("--trained", action="store_true", help="train nothing; count the cases that are not there")
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.half in (None, half(case))]
    raised: dict[str, list[str]] = {}
    for case in cases:
        run = RunFolder(arguments.output / case.name) if arguments.trained else run_case(case, arguments.output)
        if run.exists and run.status in ("finished", "failed"):
            raised[case.name] = sorted({alarm.name for alarm in diagnose(run).alarms})
    print("\n".join([*summary(cases, raised), "", *lines(cases, raised)]))


def summary(cases: Sequence[Case], raised: Mapping[str, Sequence[str]]) -> list[str]:
    """Per half and together: faults named rightly, healthy runs with an alarm, cases without a run."""
    told = ["| cases | faults named | false alarms | not run |", "|---|---|---|---|"]
    for label, of in (("set", ("set",)), ("held", ("held",)), ("all", ("set", "held"))):
        chosen = [case for case in cases if half(case) in of]
        there = [case for case in chosen if case.name in raised]
        faults = [case for case in there if case.alarm]
        healthy = [case for case in there if not case.alarm]
        named = sum(case.alarm in raised[case.name] for case in faults)
        false = sum(bool(raised[case.name]) for case in healthy)
        row = f"{named} of {len(faults)} | {false} of {len(healthy)} | {len(chosen) - len(there)}"
        told.append(f"| {label} | {row} |")
    return told


def lines(cases: Sequence[Case], raised: Mapping[str, Sequence[str]]) -> list[str]:
    told = ["| case | half | named | raised |", "|---|---|---|---|"]
    for case in cases:
        if case.name in raised:
            names = raised[case.name]
            right = case.alarm in names if case.alarm else not names
            told.append(f"| {case.name} | {half(case)} | {'yes' if right else 'NO'} | {', '.join(names) or '–'} |")
    return told


if __name__ == "__main__":
    main()
