"""RLHF on one machine: SFT, reward models, DPO and PPO as plugins, with any reward and any judge.

::

    import rlhf_core
    run = rlhf_core.train(algo="dpo")
    print(run.metrics[-1], run.report)
    rlhf_core.evaluate(run, baseline="base").result

Nothing is imported until it is used: `import rlhf_core` is light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlhf_core.contract.components import Component, hookimpl
    from rlhf_core.contract.dataset import Dataset
    from rlhf_core.contract.errors import RLHFError
    from rlhf_core.contract.evaluator import EvalContext, Evaluation, Evaluator
    from rlhf_core.contract.judge import Cost, Grade, Judge, Pair, Verdict
    from rlhf_core.contract.options import NoOptions, Options
    from rlhf_core.contract.policy import Policy, SamplingSpec
    from rlhf_core.contract.reward import Completion, Reward, RewardContext, RewardSource, Scores
    from rlhf_core.contract.tracker import Tracker
    from rlhf_core.contract.trainer import BaseTrainer, TrainContext, Trainer
    from rlhf_core.recipe.api import dry_run, evaluate, rank, resume, train
    from rlhf_core.recipe.handle import Run
    from rlhf_core.recipe.sweeps.sweep import sweep

_HOMES = {
    "BaseTrainer": "contract.trainer",
    "Completion": "contract.reward",
    "Component": "contract.components",
    "Cost": "contract.judge",
    "Dataset": "contract.dataset",
    "EvalContext": "contract.evaluator",
    "Evaluation": "contract.evaluator",
    "Evaluator": "contract.evaluator",
    "Grade": "contract.judge",
    "Judge": "contract.judge",
    "NoOptions": "contract.options",
    "Options": "contract.options",
    "Pair": "contract.judge",
    "Policy": "contract.policy",
    "RLHFError": "contract.errors",
    "Reward": "contract.reward",
    "RewardContext": "contract.reward",
    "RewardSource": "contract.reward",
    "Run": "recipe.handle",
    "SamplingSpec": "contract.policy",
    "Scores": "contract.reward",
    "Tracker": "contract.tracker",
    "TrainContext": "contract.trainer",
    "Trainer": "contract.trainer",
    "Verdict": "contract.judge",
    "dry_run": "recipe.api",
    "evaluate": "recipe.api",
    "hookimpl": "contract.components",
    "rank": "recipe.api",
    "resume": "recipe.api",
    "sweep": "recipe.sweeps.sweep",
    "train": "recipe.api",
}

__all__ = [
    "BaseTrainer", "Completion", "Component", "Cost", "Dataset", "EvalContext", "Evaluation", "Evaluator", "Grade",
    "Judge", "NoOptions", "Options", "Pair", "Policy", "RLHFError", "Reward", "RewardContext", "RewardSource", "Run",
    "SamplingSpec", "Scores", "Tracker", "TrainContext", "Trainer", "Verdict", "dry_run", "evaluate", "hookimpl",
    "rank", "resume", "sweep", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
