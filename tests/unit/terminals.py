"""What a person sees: Python code run on a terminal of its own."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys


def shown_on_a_terminal(code: str, *, columns: int) -> bytes:
    """All that the code writes, control sequences included; the tests' modules can be imported by it."""
    reader, writer = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "PYTHONPATH": os.path.dirname(__file__)}  # noqa: PTH120
    with subprocess.Popen([sys.executable, "-c", code], stdout=writer, stderr=writer, env=env) as process:
        os.close(writer)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while chunk := os.read(reader, 4096):
                shown += chunk
    assert process.returncode == 0, shown.decode()
    return shown
