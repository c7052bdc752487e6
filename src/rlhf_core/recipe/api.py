"""From Python: ``train``, ``evaluate`` and ``resume``. The command line is a thin face over this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.judge import unwatched
from rlhf_core.registry.catalog import Catalog, default_catalog
from rlhf_core.store.run import DEFAULT_ROOT, RunFolder
from rlhf_core.training.world import World

from .choosing import Records, choose, data_file, wish_of
from .handle import EvaluatedRun, Run
from .lending import Tell, Watch, finished_model
from .measuring.asking import Question, free_name, pose
from .measuring.evaluating import Measurement
from .measuring.ranking import Ranking
from .measuring.ranking import rank as rank_runs
from .pages.contents import short_names
from .pages.reporting import write_run_page
from .pipeline import Session, ensure_stage, folders, free_folder, read_ahead, train_stage
from .provenance import command_line
from .rehearsal.dryrun import DryRun, dry_run_stage, finished_runs
from .stages import prepare, require_free
from .written.locate import DEFAULT_RECIPE
from .written.resolve import read, resolve
from .written.settings import Settings, as_typed, stage_names, with_settings

if TYPE_CHECKING:
    from rlhf_core.training.observers import Observer

    from .written.resolved import Stage

Observers = Callable[["Stage"], "Sequence[Observer]"]


def train(
    algo: str | None = None, *, config: str | Sequence[str] = DEFAULT_RECIPE, stage: str | None = None,
    model: str | None = None, data: str | Path | Records | None = None, files: Mapping[str, str | Path] | None = None,
    reward: Any = None, start: str | Run | None = None, output: str | Path | None = None,
    seed: int | None = None, track: Sequence[str] = (), set: Settings = (),
    tell: Tell = print, observers: Observers | None = None, catalog: Catalog | None = None, command: str | None = None,
    **training: Any,
) -> Run:  # fmt: skip
    """Train one stage, and first whatever it needs that is not finished yet.

    Args:
        algo: the trainer, such as ``"dpo"``; the recipe's stage of that algo is trained.
        config: recipe by name or path; several are laid over each other.
        data: a file, a hub name, a plugin's data set, or records as dicts.
        files: the recipe's named input files, such as ``{"labels": "mine.jsonl"}``.
        reward: a name, ``"module:function"``, a run, a section, or a Python function of (prompt, completion).
        start: what to start from: ``"base"``, a run or its folder.
        output: the run's folder; default ``runs/ALGO-DATE-TIME``.
        set: options by dotted keys, such as ``{"trainer.beta": 0.2}``.
        tell: gets a line for each thing a user should know.
        training: options of the loop, such as ``steps=100``.
    Raises: RLHFError for everything that a user can mend.
    """
    catalog = catalog or default_catalog()
    wish = wish_of(
        algo, config=config, stage=stage, model=model, data=data, files=files, reward=reward, start=start, seed=seed,
        track=track, set=set, **training,
    )  # fmt: skip
    choice = choose(wish, catalog)
    for line in choice.told:
        tell(line)
    target = World.current().from_first(lambda: _free_output(output, choice.name))
    root = DEFAULT_ROOT / choice.recipe.name
    session = Session(catalog, root, command or command_line(), tell, observers)
    ahead = read_ahead(choice.recipe, session)
    runs: dict[str, RunFolder] = {}
    for needed in choice.recipe.stages[:-1]:
        run, outcome = ensure_stage(needed, choice.recipe, runs, session, ahead.pop(needed.name))
        runs[needed.name] = run
        if outcome is not None and outcome.status == "stopped":
            return Run(run.path, catalog=catalog)
    wanted = choice.recipe.stage(choice.name)
    prepared = prepare(wanted, catalog, folders(runs, wanted.needs), ahead[choice.name], tell=tell)
    run, _ = train_stage(prepared, target, choice.recipe, session)
    return Run(run.path, catalog=catalog)


def dry_run(
    algo: str | None = None, *, tell: Tell = print, catalog: Catalog | None = None, **asked: Any
) -> DryRun:  # fmt: skip
    """What :func:`train` would do if it were given the same: one real step, in a folder that is thrown away.

    Nothing that the stage needs is trained first. Runs of an earlier training are used; else the base stands in for the
    start, and where nothing can, no step is taken: ``told`` of the result says so.

    Args:
        asked: arguments of :func:`train`.
    Raises: RLHFError as :func:`train`.
    """
    catalog = catalog or default_catalog()
    output = asked.pop("output", None)
    choice = choose(wish_of(algo, **asked), catalog)
    for line in choice.told:
        tell(line)
    if output is not None:
        require_free(Path(output))
    *needed, wanted = choice.recipe.stages
    runs = finished_runs(needed, DEFAULT_ROOT / choice.recipe.name, catalog, tell)
    return dry_run_stage(wanted, catalog, runs)


def evaluate(
    run: str | Path | Run | None = None, *, judge: str | Mapping[str, Any] | None = None,
    baseline: str | Path | Run | None = None, config: str | None = None,
    evaluators: Sequence[str | Mapping[str, Any]] | None = None,
    data: str | Path | Records | None = None, name: str | None = None, set: Settings = (),
    tell: Tell = print, asked: Watch = unwatched, catalog: Catalog | None = None,
) -> EvaluatedRun:  # fmt: skip
    """Measure a run, alone or beside a baseline, and write what was found into it.

    Args:
        run: a run or its folder; the newest by default.
        judge: a judge by name or section; with a baseline it compares, without it grades.
        baseline: a run, a model, or ``"base"``.
        config: a recipe whose ``evaluate`` section says what is measured; by default the one the run was made with.
        evaluators: these in place of the section's.
        data: prompts, in place of the section's.
        name: of the files in ``evaluation/``; by default one that is free.
        set: options of the section by dotted keys, such as ``{"sampling.n": 4, "judge.model": "gpt-5.4"}``.
        asked: gets the judge's progress, after each question.
    Raises: RLHFError for everything that a user can mend.
    """
    catalog = catalog or default_catalog()
    folder = RunFolder.newest() if run is None else RunFolder.open(run.path if isinstance(run, Run) else run)
    finished_model(folder)
    against = str(baseline.path) if isinstance(baseline, Run) else None if baseline is None else str(baseline)
    question = Question(
        judge={"judge": judge} if isinstance(judge, str) else judge,
        config=config,
        evaluators=None if evaluators is None else [{"evaluator": e} if isinstance(e, str) else e for e in evaluators],
        data=data_file(data),
        settings=as_typed(set),
    )
    posed = pose(question, folder, catalog, tell)
    measurement = Measurement(posed, catalog, runs={}, tell=tell, asked=asked)
    records = measurement.records(folder)
    result = measurement.measure(folder, against, records)
    label = name or free_name(folder, posed, against)
    measurement.write(folder, against, label, records, result)
    write_run_page(folder)
    return EvaluatedRun(folder.path, result, name=label, catalog=catalog)


def rank(
    runs: Sequence[str | Path | Run], *, judge: str | Mapping[str, Any], config: str | None = None,
    data: str | Path | Records | None = None, set: Settings = (), tell: Tell = print, asked: Watch = unwatched,
    catalog: Catalog | None = None,
) -> Ranking:  # fmt: skip
    """Compare several runs with each other by a judge, and put them in order.

    Args:
        judge, config, data, set, asked: as for :func:`evaluate`; section and prompts are those of the first run.
    Raises: RLHFError for everything that a user can mend.
    """
    catalog = catalog or default_catalog()
    opened = [RunFolder.open(run.path if isinstance(run, Run) else run) for run in runs]
    for folder in opened:
        finished_model(folder)
    question = Question(
        judge={"judge": judge} if isinstance(judge, str) else judge, config=config, evaluators=[], data=data_file(data),
        settings=as_typed(set),
    )  # fmt: skip
    posed = pose(question, opened[0], catalog, tell)
    named = dict(zip(short_names(opened), opened, strict=True))
    return rank_runs(named, Measurement(posed, catalog, runs={}, tell=tell, asked=asked))


def resume(
    path: str | Path, *, set: Sequence[str] = (), tell: Tell = print,
    observers: Observers | None = None, catalog: Catalog | None = None, command: str | None = None,
) -> Run:  # fmt: skip
    """Go on with a run that was stopped, to the same weights as if it had not been.

    Raises: RLHFError when there is no such run, it is finished, or anything it depends on is different now.
    """
    catalog = catalog or default_catalog()
    run = RunFolder.open(path)
    if run.status == "finished":
        raise RLHFError(f"{run.path}: is finished; nothing to go on with")
    recipe = read([str(run.recipe)])
    name = stage_names(recipe)[0]
    resolved = resolve(with_settings(recipe, set, stage=name), catalog, evaluate=False)
    session = Session(catalog, run.path.parent, command or command_line(), tell, observers)
    train_stage(prepare(resolved.stages[0], catalog, {}, tell=tell), run.path, resolved, session, resume=True)
    return Run(run.path, catalog=catalog)


def _free_output(output: str | Path | None, name: str) -> Path:
    target = Path(output) if output is not None else default_output(name)
    require_free(target)
    return target


def default_output(name: str, root: Path = DEFAULT_ROOT) -> Path:
    """``runs/NAME-DATE-TIME``, with a number behind it where two begin in one second."""
    path = root / f"{name}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"
    return free_folder(path, "-") if path.exists() else path
