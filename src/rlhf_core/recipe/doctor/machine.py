"""The machine: Python, cores, memory, disk, devices."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib.metadata import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

from rlhf_core.training.memory import available_memory

from ..amounts import GIB, size
from .finding import Finding

LOW_MEMORY = 2 * GIB
LOW_DISK, NO_DISK = 2 * GIB, GIB // 10

_NVIDIA = Path("/proc/driver/nvidia/version")

_found = partial(Finding, area="machine")


def machine(root: Path) -> Iterator[Finding]:
    """``root`` is the folder where runs go; it need not be there yet."""
    yield python(platform.python_version())
    yield _found(subject="system", says=platform.platform())
    yield cores()
    yield memory()
    place = nearest_folder(root)
    yield disk(root, shutil.disk_usage(place).free)
    yield write_access(root, place)
    yield from devices()


def python(version: str) -> Finding:
    wanted = "".join(metadata("rlhf_core").get_all("Requires-Python") or [])
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return _found(subject="python", says=version)
    mend = f"make a virtual environment with a Python {wanted}"
    return _found(subject="python", level="problem", says=f"{version}, but rlhf_core needs {wanted}", mend=mend)


def cores() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    threads = os.environ.get("OMP_NUM_THREADS")
    says = f"{usable}, load {load:.1f}" + (f", OMP_NUM_THREADS={threads}" if threads else "")
    if load <= 1.5 * usable:
        return _found(subject="cores", says=says)
    mend = "other programs hold them: trainings take longer than they would"
    return _found(subject="cores", level="note", says=says, mend=mend)


def memory() -> Finding:
    total, free = available_memory()
    if total is None or free is None:
        return _found(subject="memory", says="not known on this system")
    says = f"{size(free)} free of {size(total)}"
    if free >= LOW_MEMORY:
        return _found(subject="memory", says=says)
    mend = "lower training.micro_batch_tokens, take a smaller model, or end other programs"
    return _found(subject="memory", level="note", says=says, mend=mend)


def disk(root: Path, free: int) -> Finding:
    subject = f"disk at {root}"
    if free < NO_DISK:
        return _found(
            subject=subject, level="problem", says=f"{size(free)} free", mend="make room, or work in another folder"
        )
    if free < LOW_DISK:
        mend = "checkpoints may fill it: lower training.keep_checkpoints, or make room"
        return _found(subject=subject, level="note", says=f"{size(free)} free", mend=mend)
    return _found(subject=subject, says=f"{size(free)} free")


def write_access(root: Path, place: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=place):
            return _found(subject=f"writing to {root}", says="allowed")
    except OSError as error:
        says = f"{place}: {error.strerror or error}"
        mend = "work in a folder of your own, or choose --output there"
        return _found(subject=f"writing to {root}", level="problem", says=says, mend=mend)


def nearest_folder(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    absolute = path.expanduser().absolute()
    return next(place for place in (absolute, *absolute.parents) if place.is_dir())


def devices() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:  # a broken build raises OSError, ImportError, RuntimeError …
        says = f"torch cannot be imported: {type(error).__name__}: {error}".splitlines()[0]
        yield _found(subject="torch", level="problem", says=says, mend="pip install --force-reinstall torch")
        return
    yield _found(subject="cpu", says="float32 (bfloat16 is left to CUDA devices that have it)")
    if not torch.cuda.is_available():
        yield _no_cuda(torch.version.cuda)
        return
    for index in range(torch.cuda.device_count()):
        subject = f"cuda:{index}"
        try:
            card = torch.cuda.get_device_properties(index)
            free, total = torch.cuda.mem_get_info(index)
            with torch.cuda.device(index):
                bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        except RuntimeError as error:
            says = f"cannot be used: {str(error).splitlines()[0]}"
            mend = "free it, or leave it out: CUDA_VISIBLE_DEVICES, or training.device: cpu"
            yield _found(subject=subject, level="problem", says=says, mend=mend)
            continue
        precision = "bfloat16" if bfloat16 else "float32 (it has no fast bfloat16)"
        says = f"{card.name}, capability {card.major}.{card.minor}, {size(free)} free of {size(total)}, {precision}"
        yield _found(subject=subject, says=says)


def _no_cuda(built_for: str | None) -> Finding:
    driver = _NVIDIA.is_file() or shutil.which("nvidia-smi") is not None
    if not driver:
        return _found(subject="cuda", says="no device: training runs on the CPU")
    if built_for is None:
        says, mend = (
            "an NVIDIA driver is here, but this torch is the CPU build",
            "install torch with CUDA (pytorch.org)",
        )
    else:
        says = f"an NVIDIA driver is here, but torch (built for CUDA {built_for}) sees no device"
        mend = "update the driver, or look at CUDA_VISIBLE_DEVICES"
    return _found(subject="cuda", level="note", says=says, mend=mend)
