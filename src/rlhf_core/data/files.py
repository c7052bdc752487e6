"""Opening the files of a source: they exist, are UTF-8 and are not empty, or the message says where they are not."""

from __future__ import annotations

import difflib
from pathlib import Path

from rlhf_core.contract.errors import RLHFError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".parquet")
BOM = b"\xef\xbb\xbf"


def check_file(path: Path) -> None:
    """Raises: RLHFError when there is no such file, it is a folder, of an unknown kind, or empty."""
    if path.is_dir():
        inside = sorted(file.name for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        found = f"; it holds {', '.join(inside[:5])}" if inside else ""
        raise RLHFError(f"{path}: is a folder; name one file{found}")
    if not path.exists():
        raise RLHFError(f"{path}: no such file{_sibling(path)}")
    if path.suffix.lower() not in SUFFIXES:
        raise RLHFError(f"{path}: unknown kind of data file; rename it to one of {', '.join(SUFFIXES)}")
    if path.stat().st_size == 0:
        raise RLHFError(f"{path}: the file is empty; expected at least one record")


def _sibling(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor a folder {path.parent})"
    names = [file.name for file in path.parent.iterdir() if file.is_file()]
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean '{near[0]}'?" if near else f" in {path.parent.resolve()}"


def read_utf8(path: Path) -> str:
    """The whole file as text, without a byte-order mark and with \\n as the line end.

    Raises: RLHFError naming line and byte where it is not UTF-8.
    """
    data = path.read_bytes().removeprefix(BOM)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RLHFError(not_utf8(f"{path.name}:{line}", data[error.start], error.start, data)) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def not_utf8(where: str, byte: int, offset: int, start_of_file: bytes) -> str:
    """The message for a byte that is not UTF-8. ``offset``: 0-based, in the file."""
    wide = start_of_file[:2] in (b"\xff\xfe", b"\xfe\xff")
    seems = "it seems to be UTF-16" if wide else "it may be Latin-1 or Windows-1252"
    return f"{where}: not UTF-8 (byte 0x{byte:02x} at offset {offset}); {seems}; save the file as UTF-8"
