"""Mistakes of a recipe, collected with their places and reported together."""

from __future__ import annotations

import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rlhf_core.contract.errors import MissingComponent, Problems, RLHFError
from rlhf_core.registry.options import OptionProblem, dotted, option_problems, shown

from .node import Keys, Node

ModelT = TypeVar("ModelT", bound=BaseModel)


class Findings:
    """Collects mistakes, each once, and raises them all in the order of their places."""

    def __init__(self) -> None:
        self._lines: dict[str, type[RLHFError]] = {}

    def add(self, place: str, text: str, kind: type[RLHFError] = RLHFError) -> None:
        self._lines.setdefault(f"{place}: {text}" if place else text, kind)

    def catch(self, node: Node, error: RLHFError) -> None:
        """An error of a lower floor, with the place that caused it."""
        for line in str(error).splitlines():
            self.add(node.place, line, type(error))

    def stop_if_any(self) -> None:
        """Raises: Problems; MissingComponent when nothing is wrong but that something is not installed."""
        if not self._lines:
            return
        lines = sorted(self._lines, key=_reading_order)
        if all(issubclass(kind, MissingComponent) for kind in self._lines.values()):
            raise MissingComponent("\n".join(lines))
        raise Problems(lines)


def _reading_order(line: str) -> tuple[str, int, int]:
    place = re.match(r"(.*?):(\d+):(\d+): ", line)
    return (place[1], int(place[2]), int(place[3])) if place else ("", 0, 0)


def validate(
    node: Node, cls: type[ModelT], findings: Findings, *, owner: str, prefix: Keys = (), value: object = None
) -> ModelT | None:
    """``node`` as an options object; None after adding what is wrong with it.

    Args:
        owner: whose options, for "unknown option of OWNER".
        prefix: keys before the node's own in messages.
        value: the plain value to validate, where it is not all of the node.
    """
    try:
        return cls.model_validate(node.plain() if value is None else value)
    except ValidationError as error:
        for problem in option_problems(error, cls, owner):
            findings.add(*_told(node, problem, prefix))
        return None


def _told(node: Node, problem: OptionProblem, prefix: Keys) -> tuple[str, str]:
    """(place, line) of a mistake; a flag that names the key itself (``--set trainer.beta``) is not followed by it."""
    place = node.nearest(problem.keys).place
    if place.startswith("--") and problem.keys and place.rpartition(".")[2] == str(problem.keys[-1]):
        return "", f"{place} = {shown(problem.found)}: {problem.text}"
    lead = dotted(prefix)
    lead = f"{lead}." if lead and problem.keys else f"{lead}: " if lead else ""
    mend = f" (--set {lead}{dotted(problem.keys)}=…)" if problem.absent and place.startswith("--") else ""
    return place, problem.line(lead) + mend
