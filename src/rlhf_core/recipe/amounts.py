"""Durations and sizes as people write them."""

from __future__ import annotations

MIB, GIB = 2**20, 2**30


def clock(seconds: float) -> str:
    """``1:05``, ``2:00:00``: minutes and seconds, hours before them where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Bytes as ``12.5 MiB`` or ``1.2 GiB``."""
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / MIB:.1f} MiB"
