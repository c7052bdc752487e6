"""Looks at each new row, and says what has become alarming. The same rows give the same alarms, live or later."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ...contract.health import Alarm
from .detectors import DETECTORS
from .finding import Finding
from .history import Facts, History

LOOKS = 50
"""Over a training, detectors look at so many rows of training metrics, and at every evaluation."""
WORSE = 2.0
"""An alarm is raised again when what it found has grown by this factor."""


class Watch:
    """A fold over rows.

    Args:
        off: names of alarms that are not to be raised.
    """

    def __init__(self, facts: Facts, off: Collection[str] = ()) -> None:
        self._facts = facts
        self._detectors = {name: detector for name, detector in DETECTORS.items() if name not in off}
        self._stride = max(1, facts.steps // LOOKS)
        self._rows: list[Mapping[str, Any]] = []
        self._raised: dict[str, float] = {}

    def look(self, row: Mapping[str, Any]) -> list[Alarm]:
        """What this row, after those before it, makes alarming for the first time or much more so than before."""
        self._rows.append(row)
        at = row["step"]
        if row.get("split") == "train" and at % self._stride and at != self._facts.steps:
            return []
        history = History(self._rows, self._facts)
        found = ((name, detector(history)) for name, detector in self._detectors.items())
        return [self._raise(name, at, finding) for name, finding in found if finding and self._is_news(name, finding)]

    def look_at_all(self, rows: Iterable[Mapping[str, Any]]) -> list[Alarm]:
        return [alarm for row in rows for alarm in self.look(row)]

    def _is_news(self, name: str, finding: Finding) -> bool:
        return name not in self._raised or finding.size >= WORSE * self._raised[name]

    def _raise(self, name: str, step: int, finding: Finding) -> Alarm:
        self._raised[name] = finding.size
        return Alarm(
            name=name, step=step, says=finding.says, evidence=finding.evidence, cause=finding.cause, mend=finding.mend
        )
