"""How far the questions are answered, for whoever waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rlhf_core.contract.judge import Asked

from .desk import Judged


class Tally:
    """Tells the state after each answer, one at a time whatever the threads.

    Args:
        priced: whether dollars are counted.
    """

    def __init__(self, total: int, tell: Callable[[Asked], None], *, priced: bool) -> None:
        self._total, self._tell = total, tell
        self._done = self._kept = self._failed = 0
        self._usd: float | None = 0.0 if priced else None
        self._lock = threading.Lock()

    def counted(self, judged: Judged) -> Judged:
        """The same, counted."""
        with self._lock:
            self._done += 1
            self._kept += "calls" not in judged.usage
            self._failed += judged.outcome != "valid"
            if self._usd is not None:
                self._usd += judged.usage.get("usd", 0.0)
            self._tell(
                Asked(
                    judge="chatgpt", done=self._done, total=self._total, kept=self._kept, failed=self._failed,
                    usd=self._usd,
                )
            )  # fmt: skip
        return judged
