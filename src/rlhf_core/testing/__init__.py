"""The kit for plugin authors: a real policy in milliseconds, ready-made data, and one check per kind of component.

A check is a plain function that raises AssertionError with one line. It needs no pytest::

    from rlhf_core.testing import check_component, check_plugin
    import acme_rlhf

    check_plugin("acme_rlhf")                       # the module is light, its components are well declared
    for component in acme_rlhf.rlhf_components():
        check_component(component)                  # builds it from default options and runs the check of its kind

or, with an object of your own making, ``check_reward(Short(options))``. Nothing is downloaded, nothing is mocked: the
policy is a random GPT-2 over bytes, trained and resumed by the engine itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backbones import check_backbone
    from .components import check_component, check_plugin
    from .datasets import check_dataset
    from .evaluators import check_evaluator
    from .judges import check_judge
    from .lending import LengthJudge, LengthReward, eval_context, judge_context, reward_context
    from .policy import save_tiny_model, tiny_policy
    from .rewards import check_reward
    from .samples import completions, records, rows
    from .tokenizer import byte_tokenizer
    from .trackers import check_tracker
    from .trainers import check_trainer

_HOMES = {
    "LengthJudge": "lending",
    "LengthReward": "lending",
    "byte_tokenizer": "tokenizer",
    "check_backbone": "backbones",
    "check_component": "components",
    "check_dataset": "datasets",
    "check_evaluator": "evaluators",
    "check_judge": "judges",
    "check_plugin": "components",
    "check_reward": "rewards",
    "check_tracker": "trackers",
    "check_trainer": "trainers",
    "completions": "samples",
    "eval_context": "lending",
    "judge_context": "lending",
    "records": "samples",
    "reward_context": "lending",
    "rows": "samples",
    "save_tiny_model": "policy",
    "tiny_policy": "policy",
}

__all__ = [
    "LengthJudge",
    "LengthReward",
    "byte_tokenizer",
    "check_backbone",
    "check_component",
    "check_dataset",
    "check_evaluator",
    "check_judge",
    "check_plugin",
    "check_reward",
    "check_tracker",
    "check_trainer",
    "completions",
    "eval_context",
    "judge_context",
    "records",
    "reward_context",
    "rows",
    "save_tiny_model",
    "tiny_policy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
