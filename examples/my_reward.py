"""A reward is one function. From the folder that this file lies in:

    rlhf train --algo ppo --reward my_reward.py:score
    rlhf train --algo ppo --reward my_reward.py:score_all

or in a recipe, in a stage of ppo:

    reward: {reward: python, function: "my_reward.py:score"}
"""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_core import Completion


def score(prompt: str, completion: str) -> float:
    """Two parameters: called for each completion. Eight words are best, the prompt's own words are worth one each."""
    words = completion.lower().split()
    return len(set(words) & set(prompt.lower().split())) - abs(len(words) - 8.0)


def score_all(completions: Sequence[Completion]) -> list[float]:
    """One parameter: called for the whole batch, with every column of each prompt's row in ``record``.

    A row of the data such as ``{"prompt": "a line on bread", "words": 5}`` says how long its answer should be.
    """
    return [-abs(len(c.text.split()) - float(str(c.record.get("words", 8)))) for c in completions]
