"""One writer per run folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..contract.errors import RLHFError


def holder(path: Path) -> str | None:
    """The pid of the process that holds ``path`` as a lock; None where nobody does, a crash's leftover included."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        pid = os.read(descriptor, 32).decode("ascii", "replace").strip()
        # Asked only where a pid stands there: whoever begins to hold it at this very moment is not disturbed.
        if not pid:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return pid
        return None
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``path`` as a lock; the pid inside it is for the message of whoever is refused.

    The kernel holds the lock and drops it with the process, however that ends: a lock file left by a crash is stale
    by itself and stops nobody.

    Raises: RLHFError naming the process that holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise RLHFError(
                f"{path.parent}: process {holder} is writing this run; wait for it, or choose another --output"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
