"""A Python function as a reward source, with its answers checked where it is called."""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.reward import Completion, Reward, RewardContext, Scores

from .loading import load_function
from .options import FunctionOptions

Takes = Literal["text", "completions"]
_SIGNATURES = "score(prompt: str, completion: str) -> float, or score(completions: list[Completion]) -> list[float]"


class FunctionReward(Reward):
    def __init__(self, options: FunctionOptions) -> None:
        self.options = options
        given = options.function
        self.name = given if isinstance(given, str) else options.model_dump()["function"]
        self._function: Callable[..., Any] | None = None
        self._takes: Takes = "text"

    def prepare(self, context: RewardContext) -> None:
        """Raises: RLHFError when there is no such function, or it cannot be seen how to call it."""
        given = self.options.function
        self._function = load_function(given, context.folder) if isinstance(given, str) else given
        takes = self.options.takes
        self._takes = call_style(self.name, self._function) if takes == "auto" else takes

    def score(self, completions: Sequence[Completion]) -> Scores:
        """Raises: RLHFError when the function raises, or gives anything but one number per completion."""
        if self._takes == "completions":
            answers = self._call(f"{len(completions)} completions", list(completions))
        else:
            answers = [self._call(f"{c.prompt!r} -> {c.text!r}", c.prompt, c.text) for c in completions]
        return Scores(self._numbers(answers, completions))

    def _call(self, what: str, *arguments: object) -> Any:
        assert self._function is not None, "prepare() comes before score()"
        try:
            return self._function(*arguments)
        except RLHFError:
            raise
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            raise RLHFError(
                f"reward function {self.name}: {type(error).__name__}: {error} "
                f"({Path(frame.filename).name}:{frame.lineno}) on {what}"
            ) from error

    def _numbers(self, answers: Any, completions: Sequence[Completion]) -> list[float]:
        if not isinstance(answers, Sequence) or isinstance(answers, str):
            answers = answers.tolist() if hasattr(answers, "tolist") else answers
        if not isinstance(answers, Sequence) or isinstance(answers, str) or len(answers) != len(completions):
            found = f"{len(answers)} answers" if isinstance(answers, Sequence) else type(answers).__name__
            raise RLHFError(
                f"reward function {self.name}: expected a list of {len(completions)} numbers, one per completion; "
                f"it returned {found}"
            )
        return [self._number(answer, completion) for answer, completion in zip(answers, completions, strict=True)]

    def _number(self, answer: Any, completion: Completion) -> float:
        try:
            number = float(answer) if not isinstance(answer, str) else math.nan
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise RLHFError(
                f"reward function {self.name}: expected a finite number, it returned {answer!r} "
                f"for {completion.prompt!r} -> {completion.text!r}"
            )
        return number


def call_style(name: str, function: Callable[..., Any]) -> Takes:
    """By the number of positional parameters without a default: two take (prompt, completion), one takes all at once.

    Raises: RLHFError naming the two signatures there are.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise RLHFError(
            f"reward function {name}: its parameters cannot be read; set takes: text or completions"
        ) from error
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p.name for p in parameters if p.kind in positional and p.default is p.empty]
    if len(required) == 2:
        return "text"
    if len(required) == 1:
        return "completions"
    found = ", ".join(required) or "no parameter without a default"
    raise RLHFError(f"reward function {name}: expected {_SIGNATURES}; it takes ({found})")
