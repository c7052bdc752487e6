"""The whole suite, in the order of docs/performance.md: an hour on an idle machine, with W2 most of it.

python benchmarks/performance/run.py
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PARTS = {
    "machine": ["machine.py"],
    "training": ["compare.py", "W1", "W2", "--algos", "sft", "dpo", "reward"],
    "batch32": ["compare.py", "W1", "--algos", "dpo", "--batch", "32"],
    "cached": ["compare.py", "W1", "W2", "--algos", "dpo", "--cached"],
    "ppo": ["compare.py", "W1", "W1F", "W2F", "--algos", "ppo"],
    "decoding": ["decoding.py", "W1", "W1F", "W2", "W2F"],
    "scaling": ["scaling.py", "batch", "length", "records", "--plots", "docs/performance"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all by default")
    for name in parser.parse_args().parts or PARTS:
        script, *arguments = PARTS[name]
        print(f"\n## {name}: {script} {' '.join(arguments)}\n", flush=True)
        subprocess.run([sys.executable, str(HERE / script), *arguments], check=True)


if __name__ == "__main__":
    main()
