"""Files and folders that are there whole or not at all: written beside their place, flushed to disk, renamed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``; whoever reads it meanwhile sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync(path.parent)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: object) -> None:
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def replace_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill an empty folder, then put it in the place of ``target``.

    A folder cannot be renamed over a full one, so the old one steps aside first; :func:`recover` undoes a crash
    between the two renames.
    """
    recover(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        write(beside)
        _sync_tree(beside)
        if target.exists():
            target.rename(_aside(target))
        beside.rename(target)
    finally:
        recover(target)
        shutil.rmtree(beside, ignore_errors=True)
    _sync(target.parent)
    shutil.rmtree(_aside(target), ignore_errors=True)


def recover(target: Path) -> None:
    """Bring back a folder whose replacement never arrived."""
    if not target.exists() and _aside(target).exists():
        _aside(target).rename(target)
    shutil.rmtree(_aside(target), ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        _sync(path)
