"""A run's folder: the one place of everything that a stage leaves behind. The layout is in docs/architecture.md."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from ..contract.errors import RLHFError
from . import lines
from .atomic import recover, replace_folder, write_json, write_text
from .lock import holder, locked

if TYPE_CHECKING:
    from .checkpoints import Checkpoints

Status = Literal["running", "finished", "stopped", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)

Rows: TypeAlias = list[dict[str, Any]]

RUN_FILE = "run.json"
LOCK_FILE = "lock"
DEFAULT_ROOT = Path("runs")


class RunFolder:
    """See the module. Make one with :meth:`create` or :meth:`open`.

    Attributes:
        path: the folder. ``model``, ``best``, ``report``, ``evaluations``: places inside it; they may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / "model"
        self.best = path / "best"
        self.report = path / "report.html"
        self.recipe = path / "recipe.yaml"
        self.evaluations = path / "evaluation"
        self._metrics = path / "metrics.jsonl"
        self._samples = path / "samples.jsonl"
        self._held_out = path / "held_out.jsonl"
        self._alarms = path / "alarms.jsonl"
        self._prompts = path / "prompts.txt"

    @classmethod
    def create(cls, path: str | Path, *, info: Mapping[str, Any] | None = None, recipe: str = "") -> RunFolder:
        """A new run with status ``running``.

        Args:
            info: further entries of ``run.json`` (command, versions, seeds, data fingerprints, parents).
            recipe: the resolved recipe as YAML; no file where it is empty.

        Raises: RLHFError when the folder holds anything already.
        """
        run = cls(Path(path))
        if run.path.exists() and not run.path.is_dir():
            raise RLHFError(f"{run.path}: this is a file; choose another --output")
        if run.path.is_dir() and any(run.path.iterdir()):
            mend = "go on with it by --resume, or choose another --output" if run.exists else "choose another --output"
            raise RLHFError(f"{run.path}: the folder is in use; {mend}")
        now = _now()
        write_json(run.path / RUN_FILE, {"status": "running", "created": now, "updated": now, **(info or {})})
        if recipe:
            write_text(run.recipe, recipe)
        return run

    @classmethod
    def open(cls, run: str | Path, root: Path = DEFAULT_ROOT) -> RunFolder:
        """A run by its folder, or by its name under ``root`` (``name``, or ``recipe/stage``).

        Raises: RLHFError naming the runs there are.
        """
        for path in (Path(run), root / run):
            if cls(path).exists:
                found = cls(path)
                recover(found.best)
                recover(found.model)
                return found
        known = ", ".join(str(other.path) for other in cls.list(root)[-5:]) or f"none in {root}/"
        raise RLHFError(f"{run}: no run there (a folder with {RUN_FILE}); runs: {known}")

    @classmethod
    def newest(cls, root: Path = DEFAULT_ROOT) -> RunFolder:
        """The run that was created last. Raises: RLHFError when there is none."""
        runs = cls.list(root)
        if not runs:
            raise RLHFError(f"{root}/: no runs yet; make one: rlhf train --algo sft")
        return runs[-1]

    @classmethod
    def list(cls, root: Path = DEFAULT_ROOT) -> list[RunFolder]:
        """Runs directly under ``root`` and, for recipes of several stages, one folder below; oldest first."""
        found = [cls(path.parent) for pattern in ("*", "*/*") for path in root.glob(f"{pattern}/{RUN_FILE}")]
        return sorted(found, key=lambda run: (str(run.info.get("created", "")), str(run.path)))

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """The run's checkpoints. They bring torch, which whoever lists and shows runs need not wait for."""
        from .checkpoints import Checkpoints

        return Checkpoints(self.path / "checkpoints")

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def exists(self) -> bool:
        return (self.path / RUN_FILE).is_file()

    @property
    def info(self) -> dict[str, Any]:
        """``run.json`` as it is now. Raises: RLHFError when it cannot be read."""
        path = self.path / RUN_FILE
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RLHFError(f"{path}: cannot be read ({error}); choose another run") from error
        if not isinstance(found, dict):
            raise RLHFError(f"{path}: expected a JSON object; choose another run")
        return found

    @property
    def status(self) -> str:
        return str(self.info.get("status", "failed"))

    def update(self, **entries: Any) -> None:
        """Write entries of ``run.json``; the others stay as they are. Raises: ValueError for an unknown status."""
        if entries.get("status", "running") not in STATUSES:
            raise ValueError(f"status {entries['status']!r} is none of {', '.join(STATUSES)}")
        write_json(self.path / RUN_FILE, {**self.info, "updated": _now(), **entries})

    def resume_command(self) -> str:
        """What to type to go on with it: a run of several processes goes on with as many."""
        processes = int(self.info.get("processes", 1))
        return f"rlhf train --resume {shlex.quote(str(self.path))}" + f" --procs {processes}" * (processes > 1)

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from writing this run. Raises: RLHFError naming the one that does."""
        return locked(self.path / LOCK_FILE)

    def writer(self) -> str | None:
        """The pid of the process that writes this run now."""
        return holder(self.path / LOCK_FILE)

    def keep_prompts(self, marks: Iterable[str]) -> None:
        """Remember what the run learns from: a mark per prompt, which tells whether another one is the same."""
        write_text(self._prompts, "".join(f"{mark}\n" for mark in sorted(set(marks))))

    def prompts(self) -> frozenset[str]:
        """The marks that were kept; none of a run that has no prompts, or is from before they were kept."""
        return frozenset(self._prompts.read_text("utf-8").split()) if self._prompts.is_file() else frozenset()

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """``row`` holds ``step``, ``records``, ``seconds``, ``split`` and numbers."""
        lines.append(self._metrics, [row])

    def append_samples(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows hold ``step``, ``record_id``, ``prompt``, ``completion``, ``finished`` and maybe ``score``."""
        lines.append(self._samples, rows)

    def append_held_out(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows hold ``step``, ``record_id`` and what was measured of the held-out row by itself, such as ``loss``."""
        lines.append(self._held_out, rows)

    def append_alarms(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows hold ``name``, ``step``, ``says``, ``evidence``, ``cause`` and ``mend``."""
        lines.append(self._alarms, rows)

    def replace_alarms(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """What the rows say is what the file holds; no file where there are none."""
        self._alarms.unlink(missing_ok=True)
        kept = list(rows)
        if kept:
            lines.append(self._alarms, kept)

    def metrics(self) -> Rows:
        return lines.read(self._metrics)

    def samples(self) -> Rows:
        return lines.read(self._samples)

    def held_out(self) -> Rows:
        """The held-out rows one by one, at each evaluation; none where the trainer tells nothing of single rows."""
        return lines.read(self._held_out)

    def alarms(self) -> Rows:
        """What was alarming, in the order it was seen."""
        return lines.read(self._alarms)

    def evaluation_names(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self.evaluations.glob("*.json")))

    def evaluation_names_by_age(self) -> tuple[str, ...]:
        """The one that was written last is the last."""
        paths = sorted(self.evaluations.glob("*.json"), key=lambda path: path.stat().st_mtime)
        return tuple(path.stem for path in paths)

    def evaluation(self, name: str) -> Mapping[str, Any] | None:
        """``evaluation/NAME.json``: what was asked and found; None where there is none of that name."""
        path = self.evaluations / f"{name}.json"
        if not path.is_file():
            return None
        content: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        return content

    def evaluation_rows(self, name: str) -> Rows:
        """``evaluation/NAME.jsonl``: a row per completion, the run's first."""
        return lines.read(self.evaluations / f"{name}.jsonl")

    def newest_evaluation(self) -> Mapping[str, Any] | None:
        """The one that was written last."""
        names = self.evaluation_names_by_age()
        return self.evaluation(names[-1]) if names else None

    def silence(self) -> float:
        """Seconds since the last line of metrics. Raises: OSError when there is none yet."""
        return time.time() - self._metrics.stat().st_mtime

    def rewind(self, step: int, *, evaluated: int) -> None:
        """Drop what was written after a checkpoint, so that the same steps taken again do not appear twice.

        Args:
            step: the checkpoint's; later rows go.
            evaluated: the last step whose evaluation the checkpoint knows of (−1: none); what later ones wrote goes.
        """
        lines.keep(self._metrics, lambda row: row["step"] <= (evaluated if row.get("split") == "validation" else step))
        for path in (self._samples, self._held_out):
            lines.keep(path, lambda row: row["step"] <= evaluated)

    def save_best(self, write: Callable[[Path], None]) -> None:
        """Replace ``best/`` by what ``write`` puts into an empty folder."""
        replace_folder(self.best, write)

    def finish(self, write: Callable[[Path], None]) -> None:
        """Replace ``model/``, what the run gives, by what ``write`` puts into an empty folder; status ``finished``."""
        replace_folder(self.model, write)
        self.update(status="finished", finished=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
