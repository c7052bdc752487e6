"""Whether what measures a run also trained it: such a measure flatters, since the policy was made to please it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rlhf_core.contract.errors import RLHFError
from rlhf_core.store.run import RunFolder

from ..fingerprints import run_fingerprint
from ..lending import model_folder
from ..written.resolve import read
from ..written.sections import NAMED_BY, Section, with_stages_resolved

_JUDGE: Final = NAMED_BY["judge"]
_NAMES: Final = frozenset(NAMED_BY.values())


@dataclass(frozen=True)
class Teacher:
    """What scored a run's completions while it was trained: its judges, as sections, and the runs that it leaned on.

    Args:
        run: the run that was trained so.
        runs: the place of each, as the recipe names it, by its fingerprint.
    """

    run: RunFolder
    judges: Sequence[Mapping[str, Any]]
    runs: Mapping[str, str]


def warnings_of(
    subjects: Sequence[RunFolder], measures: Mapping[str, Section], runs: Mapping[str, str], folder: Path
) -> list[str]:
    """A line for each measure that had a hand in training one of the subjects, or a run that it grew on.

    Args:
        subjects: the run, and the baseline where it is one.
        measures: evaluators and the judge, by the names of their metrics.
        runs: folders by the names of stages, for ``stage:NAME``. ``folder``: where relative paths start.
    """
    told = []
    for subject in subjects:
        for teacher in _teachers(subject):
            for name, section in measures.items():
                if said := _same(with_stages_resolved(section.plain(), runs), teacher, folder):
                    whose = f"{subject.name} was trained" if teacher.run is subject else (
                        f"{subject.name} grew on {teacher.run.name}, which was trained"
                    )  # fmt: skip
                    told.append(
                        f"{name}: {whose} on {said}, so it was made to please this measure; believe another one"
                    )
    return told


def _teachers(run: RunFolder) -> Iterator[Teacher]:
    """Of the run, and of the runs that it started from one after the other."""
    passed: set[Path] = set()
    while run.exists and run.path.resolve() not in passed:
        passed.add(run.path.resolve())
        reward = _reward_of(run)
        if reward:
            leaned_on = {run_fingerprint(found): place for found, place in runs_named(reward, Path())}
            yield Teacher(run, list(_judges(reward)), leaned_on)
        run = RunFolder(Path(str(run.info.get("from") or "")))


def _reward_of(run: RunFolder) -> Any:
    """The reward section of the run's own recipe; None where there is none, or it cannot be read any more."""
    try:
        found = read([str(run.recipe)]).get("stages", 0, "reward")
    except RLHFError:
        return None
    return None if found is None else found.plain()


def _same(measure: Mapping[str, Any], teacher: Teacher, folder: Path) -> str:
    """How the measure and the teacher are one, in words; empty where they are not."""
    for run, place in runs_named(measure, folder):
        if run_fingerprint(run) in teacher.runs:
            return f"the scores of {place}"
    for judge in teacher.judges:
        if judge[_JUDGE] == measure.get(_JUDGE):
            unlike = [
                f"{key} {judge[key]!r} then, {measure.get(key)!r} now"
                for key, value in judge.items() if isinstance(value, str) and value != measure.get(key)
            ]  # fmt: skip
            return f"the grades of judge {judge[_JUDGE]}" + (f" ({'; '.join(unlike)})" if unlike else "")
    return ""


def _judges(section: Any) -> Iterator[Mapping[str, Any]]:
    """Sections of judges, at any depth."""
    if isinstance(section, Mapping):
        if isinstance(section.get(_JUDGE), str):
            yield section
        for child in section.values():
            yield from _judges(child)
    elif isinstance(section, list):
        for child in section:
            yield from _judges(child)


def runs_named(section: Any, folder: Path) -> Iterator[tuple[RunFolder, str]]:
    """Each run that an option names, at any depth, and how it names it. A component's name is no option.

    Args:
        folder: where relative paths start.
    """
    if isinstance(section, Mapping):
        for key, child in section.items():
            if key not in _NAMES:
                yield from runs_named(child, folder)
    elif isinstance(section, list):
        for child in section:
            yield from runs_named(child, folder)
    elif isinstance(section, str) and section:
        try:
            run = RunFolder(Path(model_folder(section, folder)).parent)
        except RLHFError:
            return
        if run.exists:
            yield run, section
