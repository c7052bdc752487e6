"""`rlhf run`: the stages of a recipe in order, each reused, continued or trained; then measured; then one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from rlhf_core.contract.errors import Problems, RLHFError
from rlhf_core.contract.judge import unwatched
from rlhf_core.evaluation.significance import corrected
from rlhf_core.registry.catalog import Catalog
from rlhf_core.store.run import RunFolder
from rlhf_core.training.observers import Observer
from rlhf_core.training.outcome import Outcome
from rlhf_core.training.world import World

from .differences import differing_keys
from .lending import Tell, Watch
from .measuring.evaluating import Measurement, check_prompts, write_summary
from .pages.reporting import write_page, write_run_page
from .stages import Prepared, StageData, notes, prepare, read_data, run_stage
from .written.resolved import Recipe, Stage
from .written.schema import EvaluateOptions
from .written.sections import STAGE_PREFIX, require_installed

EVALUATION: Final = "recipe"
"""What the recipe's own evaluation is called in each run that it measures."""


@dataclass(frozen=True)
class Session:
    """What is the same for every stage of one command.

    Args:
        root: the folder of the recipe's runs, a folder per stage.
        command: what was typed, for the record.
        tell: where lines for the user go.
        observers: makes the listeners of a stage's training.
        elsewhere: folders of single stages that lie in another place than ``root/STAGE``.
        asked: where the progress of the evaluation's judge goes.
    """

    catalog: Catalog
    root: Path
    command: str
    tell: Tell
    observers: Callable[[Stage], Sequence[Observer]] | None = None
    elsewhere: Mapping[str, Path] = field(default_factory=dict)
    asked: Watch = unwatched

    def place(self, stage: str) -> Path:
        return self.elsewhere.get(stage, self.root / stage)


@dataclass(frozen=True)
class PipelineResult:
    """``stopped`` is the stage in which Ctrl-C came; then the rest was not begun."""

    runs: Mapping[str, RunFolder]
    evaluations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    page: Path | None = None
    stopped: str | None = None


def run_recipe(recipe: Recipe, session: Session) -> PipelineResult:
    """All stages, then the evaluation and the page.

    Raises: RLHFError as the stages do.
    """
    data = read_ahead(recipe, session)
    runs: dict[str, RunFolder] = {}
    if stopped := ensure_stages(recipe.stages, recipe, runs, session, data):
        return PipelineResult(runs, stopped=stopped)
    if not World.current().first:
        return PipelineResult(runs)  # the first process measures and reports alone
    evaluations = evaluate_recipe(recipe, runs, session) if recipe.evaluate else {}
    page = write_page(session.root, recipe.name, runs, command=session.command)
    return PipelineResult(runs, evaluations, page)


def read_ahead(recipe: Recipe, session: Session) -> dict[str, StageData]:
    """The data of every stage, by its name, and of the evaluation: what is wrong with any of it, or not installed,
    shows before the first stage trains.

    Raises: Problems with the mistakes of all, each once; what a single one has, as it is.
    """
    ahead = {stage.name: str(session.place(stage.name)) for stage in recipe.stages}
    data, errors = dict[str, StageData](), dict[str, RLHFError]()
    for stage in recipe.stages:
        try:
            require_installed(*stage.track, *([stage.reward] if stage.reward else []))
            data[stage.name] = read_data(stage, session.catalog, ahead)
        except RLHFError as error:
            errors.setdefault(str(error), error)
    try:
        if recipe.evaluate is not None:
            judge = [recipe.evaluate.judge] if recipe.evaluate.judge else []
            require_installed(*recipe.evaluate.evaluators.values(), *judge)
            check_prompts(recipe.evaluate, session.catalog)
    except RLHFError as error:
        errors.setdefault(str(error), error)
    if len(errors) == 1:
        raise next(iter(errors.values()))
    if errors:
        raise _together(list(errors.values()))
    return data


def _together(errors: Sequence[RLHFError]) -> Problems:
    """The mistakes of all, each once, and what mends them."""
    lists = [error.problems if isinstance(error, Problems) else (str(error),) for error in errors]
    mends = dict.fromkeys(error.mend for error in errors if isinstance(error, Problems) and error.mend)
    return Problems(list(dict.fromkeys(line for lines in lists for line in lines)), mend="\n".join(mends))


def ensure_stages(
    stages: Sequence[Stage], recipe: Recipe, runs: dict[str, RunFolder], session: Session, data: dict[str, StageData]
) -> str | None:  # fmt: skip
    """Each stage by :func:`ensure_stage`, its run added to ``runs`` and its data taken out of ``data``.

    Returns: the stage in which Ctrl-C came; None when all are there.
    """
    for stage in stages:
        runs[stage.name], outcome = ensure_stage(stage, recipe, runs, session, data.pop(stage.name, None))
        if outcome is not None and outcome.status == "stopped":
            return stage.name
    return None


def ensure_stage(
    stage: Stage,
    recipe: Recipe,
    runs: Mapping[str, RunFolder],
    session: Session,
    data: StageData | None = None,
) -> tuple[RunFolder, Outcome | None]:  # fmt: skip
    """A finished run of the stage: the one there is, if it is of these very options and data; else trained now.

    An unfinished one goes on; one of other options steps aside as ``NAME~1``. The outcome is None where it was reused.

    Args:
        data: the stage's, where it is read already.
    """
    prepared = prepare(stage, session.catalog, folders(runs, stage.needs), data, tell=session.tell)
    run = RunFolder(session.place(stage.name))
    found = World.current().from_first(lambda: _make_way(prepared, run, session))
    if found == "finished":
        session.tell(f"{stage.name}: finished already, reused: {run.path}")
        return run, None
    return train_stage(prepared, run.path, recipe, session, resume=found == "begun")


def _make_way(prepared: Prepared, run: RunFolder, session: Session) -> Literal["finished", "begun", "free"]:
    """What there is of this very stage; a run of other options or data steps aside."""
    stage = prepared.stage
    if run.exists and run.info.get("fingerprint") == prepared.fingerprint:
        if run.status == "finished":
            return "finished"
        session.tell(f"{stage.name}: was {run.status}, goes on: {run.path}")
        return "begun"
    if run.exists:
        aside = free_folder(run.path, "~")
        why = differing_keys(run, stage, prepared.runs)
        run.path.rename(aside)
        session.tell(f"{stage.name}: {why} changed; trained anew, the old run is {aside}")
    return "free"


def train_stage(
    prepared: Prepared, output: Path, recipe: Recipe, session: Session, *, resume: bool = False
) -> tuple[RunFolder, Outcome]:
    """Train a prepared stage, tell of it and write its page."""
    stage = prepared.stage
    session.tell(f"{stage.name}: {stage.trainer.name} into {output}")
    for line in notes(prepared):
        session.tell(f"{stage.name}: {line}")
    observers = session.observers(stage) if session.observers else ()
    measured = evaluate_section(recipe.measured, session.place)
    run, outcome = run_stage(
        prepared,
        output,
        command=session.command,
        tell=session.tell,
        resume=resume,
        observers=observers,
        evaluate=measured,
    )
    # The others wait here until the first process has left the model, which the next stage may start from.
    World.current().from_first(lambda: write_run_page(run))
    return run, outcome


def evaluate_section(evaluate: EvaluateOptions | None, place: Callable[[str], Path]) -> dict[str, Any] | None:
    """The recipe's evaluation as a single run's: other stages by their folders, no comparison."""
    if evaluate is None:
        return None
    section = evaluate.model_dump(mode="json")
    return {**_with_folders(section, place), "runs": [], "baseline": None}


def _with_folders(value: Any, place: Callable[[str], Path]) -> Any:
    if isinstance(value, str) and value.startswith(STAGE_PREFIX):
        return str(place(value.removeprefix(STAGE_PREFIX)))
    if isinstance(value, dict):
        return {key: _with_folders(child, place) for key, child in value.items()}
    return [_with_folders(child, place) for child in value] if isinstance(value, list) else value


def evaluate_recipe(
    recipe: Recipe, runs: Mapping[str, RunFolder], session: Session
) -> dict[str, Mapping[str, Any]]:  # fmt: skip
    """Measure the runs that the recipe names, each beside the baseline. By stage, as written to the runs."""
    evaluate = recipe.evaluate
    assert evaluate is not None, "the recipe has an evaluation"
    writing = [stage.name for stage in recipe.stages if stage.trainer.found.target().generates]
    measurement = Measurement(
        evaluate, session.catalog, runs=folders(runs, runs), tell=session.tell, asked=session.asked
    )
    results: dict[str, Mapping[str, Any]] = {}
    for name in evaluate.options.runs or writing:
        run = runs[name] if name in runs else RunFolder.open(name)
        baseline = evaluate.options.baseline if evaluate.options.baseline != name else None
        results[name] = measurement.of(run, baseline=baseline, name=EVALUATION)
    summaries = corrected({name: found["summary"] for name, found in results.items()})
    for name, found in results.items():
        run = runs[name] if name in runs else RunFolder.open(name)
        results[name] = {**found, "summary": summaries[name]}
        write_summary(run, EVALUATION, results[name], run.evaluation_rows(EVALUATION))
        write_run_page(run)
    return results


def folders(runs: Mapping[str, RunFolder], names: Sequence[str] | Mapping[str, Any]) -> dict[str, str]:
    return {name: str(runs[name].path) for name in names}


def free_folder(path: Path, mark: str) -> Path:
    """``path`` with the first number behind ``mark`` that no folder has yet."""
    number = 1
    while (free := path.with_name(f"{path.name}{mark}{number}")).exists():
        number += 1
    return free
