"""CPU time and memory of the commands that must be light.

python benchmarks/startup.py --rounds 5
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

COMMANDS = (["--help"], ["plugins"], ["train", "--help"], ["config", "list"], ["runs", "list"])


def measure(command: list[str]) -> tuple[float, float]:
    """(user + system seconds, peak resident MB) of one run."""
    process = subprocess.Popen([sys.executable, "-m", "rlhf_core.cli.main", *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"rlhf {' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print("| command | CPU seconds, median (least) | peak MB |\n|---|---|---|")
    for command in COMMANDS:
        seconds, memory = zip(*(measure(command) for _ in range(rounds)), strict=True)
        times = f"{statistics.median(seconds):.3f} ({min(seconds):.3f})"
        print(f"| rlhf {' '.join(command)} | {times} | {max(memory):.0f} |")


if __name__ == "__main__":
    main()
