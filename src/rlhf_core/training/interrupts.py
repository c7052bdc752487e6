"""Ctrl-C and SIGTERM, heard at the right moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from .world import World


class Interrupted(BaseException):
    """Training is to stop here. No plugin's ``except Exception`` may swallow it."""


class Interrupts:
    """Turns the first signal into a request, honoured between optimizer steps, or at once where work may be lost.

    The second signal raises KeyboardInterrupt wherever the program is. Outside the main thread, where Python allows no
    handlers, signals keep their meaning; ``request`` still works. With several ranks all stop at the same step, once
    one of them has heard a signal; none stops at once, for the others may be waiting for it.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, world: World) -> None:
        self._world = world
        self._requested = False
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def request(self) -> None:
        """Ask training to stop. Raises: Interrupted inside :meth:`abandonable`."""
        self._requested = True
        if self._at_once:
            self._at_once = False
            raise Interrupted

    def check(self) -> None:
        """Raises: Interrupted when a stop was asked for, here or on another rank."""
        if any(self._world.gather(self._requested)):
            raise Interrupted

    @contextmanager
    def abandonable(self) -> Iterator[None]:
        """A stretch of work whose result may be thrown away: a stop does not wait for its end."""
        self.check()
        self._at_once = self._world.size == 1
        try:
            yield
        finally:
            self._at_once = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self.request()
