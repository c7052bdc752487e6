"""`--procs N`: the same command in N processes on this host, told of as one.

They are told who they are as torchrun tells them. It is not used itself: at Ctrl-C it signals its processes a second
time, in the middle of the checkpoint that the first signal asked for, and it reports an error once per process.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

GRACE: Final = 5.0
"""Seconds that the others have to end after one has failed."""


def started_together() -> bool:
    """Whether this process is one of those that a launcher started."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def unheard(_: str) -> None:
    """Where the lines of the other processes go: they would say what the first says."""


def hold() -> None:
    """Of the first process, after an error that is no user's: another may have failed and been lost by this one. Then
    the launcher ends it here, before it tells of a lost connection."""
    if started_together() and os.environ["RANK"] == "0":
        time.sleep(2 * GRACE)


def run_together(words: Sequence[str], count: int) -> int:
    """Run ``rlhf WORDS`` in ``count`` processes. The first one speaks; another is heard only when it alone failed.

    Returns: the exit code of the first, or of the one that failed.
    """
    # Ctrl-C reaches the processes by itself: a terminal sends it to all of them.
    with tempfile.TemporaryDirectory(prefix="rlhf-procs-") as folder:
        faults = [Path(folder) / f"{rank}.txt" for rank in range(count)]
        port = _free_port()
        processes = [_start(words, rank, count, port, faults[rank]) for rank in range(count)]
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            signal.signal(signal.SIGTERM, lambda number, _: _pass_on(number, processes))
            failed = _wait(processes)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if failed is None:
            return processes[0].returncode
        if failed:
            told = (
                faults[failed].read_text("utf-8", "replace").strip()
                or f"ended with code {processes[failed].returncode}"
            )
            click.echo(f"process {failed} of {count}: {told}", err=True)
        code = processes[failed].returncode
        return code if code > 0 else 1


def _pass_on(number: int, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.send_signal(number)


def _start(words: Sequence[str], rank: int, count: int, port: int, fault: Path) -> subprocess.Popen[bytes]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = {
        "OMP_NUM_THREADS": str(max(1, cores // count)), **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    command = [sys.executable, "-m", "rlhf_core.cli.main", *words]
    if rank == 0:
        return subprocess.Popen(command, env=environment)
    with fault.open("wb") as file:
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=file)


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Until all have ended. Returns: the rank that failed first, the lowest where several did; None where none did."""
    while True:
        codes = [process.poll() for process in processes]
        failed = [rank for rank, code in enumerate(codes) if code not in (None, 0, 130)]
        if failed:
            _end(processes)
            # The others may have failed for the same reason; then the first has said it.
            return 0 if (processes[0].returncode or 0) > 0 else failed[0]
        if None not in codes:
            return None
        time.sleep(0.05)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + GRACE
    while any(process.poll() is None for process in processes) and time.monotonic() < until:
        time.sleep(0.05)
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
