"""The trainers beside TRL, an implementation by others: the same model, weights, rows and AdamW, number by number.

    python benchmarks/parity/compare.py sft dpo reward      # where TRL 1.16.0 is installed
    python benchmarks/parity/compare.py ppo                 # where TRL 1.12.0 is installed, the last one that has PPO

TRL's own trainers run, from text to optimizer step; beside them our trainer in a plain loop. Only numbers are compared.
A row's tokens must be the same on both sides, or the script stops, and so it does where a number is further off than
1e-4. docs/parity.md has the results, how to install either TRL, and what is not the same mathematics. CPU, float32.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from importlib import import_module

import datasets
import torch
from transformers import logging

MODULES = {"sft": "offline", "dpo": "offline", "reward": "offline", "ppo": "ppo"}
LARGEST_DIFFERENCE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trainers", nargs="+", choices=MODULES)
    arguments = parser.parse_args()
    quieten()
    import trl

    torch.set_num_threads(1)
    print(f"TRL {trl.__version__}, torch {torch.__version__}\n")
    print("| compared | numbers | first | last | max. difference |\n|---|---|---|---|---|")
    off = []
    for name in arguments.trainers:
        for result in getattr(import_module(MODULES[name]), f"compare_{name}")():
            print(result.line(), flush=True)
            if not result.difference <= LARGEST_DIFFERENCE:
                off.append(result.what)
    if off:
        sys.exit(f"further off than {LARGEST_DIFFERENCE:g}: {'; '.join(off)}")


def quieten() -> None:
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    datasets.disable_progress_bars()


if __name__ == "__main__":
    main()
