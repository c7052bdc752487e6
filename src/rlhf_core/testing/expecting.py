"""One line in place of a component's own traceback, which stays behind it as the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def expecting(call: str) -> Iterator[None]:
    """Raises: AssertionError naming ``call`` for whatever was raised inside."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{call} raised {type(error).__name__}: {error}") from error
