"""`rlhf sweep`: a recipe at each point of a grid; what the points share is trained once, what they gave is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.evaluation.statistics import over_seeds
from rlhf_core.registry.catalog import Catalog, default_catalog
from rlhf_core.store.atomic import write_json
from rlhf_core.store.run import DEFAULT_ROOT, RunFolder

from ..lending import Tell
from ..pipeline import Session, ensure_stages, evaluate_recipe, read_ahead
from ..provenance import command_line
from ..written.files import with_given
from ..written.resolve import read
from ..written.settings import Settings, as_typed, with_settings
from .grid import Plan, Point, plan
from .page import write_sweep_page

if TYPE_CHECKING:
    from rlhf_core.training.observers import Observer

    from ..written.resolved import Stage

FOLDER = "sweep"
"""In the folder of the recipe's runs: a folder per point, ``sweep.json`` and ``sweep.html``."""
UNEXPECTED = 1
"""Exit code of a point that failed by no mistake a user is told to mend, such as an exception of a reward's own."""
_HEAD = ("step", "records", "seconds", "split", "tokens_per_second")


@dataclass
class PointResult:
    """What became of a point.

    Args:
        status: ``finished``, ``failed`` or ``stopped``. ``error``, ``exit_code``: of a failed one.
        runs: the swept stages' runs by stage, as far as they were begun.
        metrics: held-out numbers of the models that the runs give, and the evaluation's means and differences.
        alarms: what the runs' health alarms say, in order.
    """

    point: Point
    status: str = "finished"
    error: str | None = None
    exit_code: int = 0
    runs: dict[str, RunFolder] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        runs = {name: str(run.path) for name, run in self.runs.items()}
        return {
            "name": self.point.name, "setting": self.point.setting, "values": dict(self.point.values),
            "seed": self.point.seed, "status": self.status, "error": self.error, "runs": runs, "metrics": self.metrics,
            "alarms": self.alarms,
        }  # fmt: skip


@dataclass(frozen=True)
class SweepResult:
    """``folder`` holds ``sweep.json`` and, once there is a point, ``page``. ``stopped``: Ctrl-C came before the end."""

    folder: Path
    points: Sequence[PointResult]
    page: Path | None
    stopped: bool = False

    @property
    def failed(self) -> list[PointResult]:
        return [result for result in self.points if result.status == "failed"]

    @property
    def table(self) -> list[dict[str, Any]]:
        """Per combination of values: ``setting``, ``values``, ``seeds`` that finished, and ``metrics``: by name the
        ``mean`` over seeds with its 95 % interval ``low``, ``high`` (None for one seed)."""
        return table_of(self.points)


def sweep(
    recipe: str | Sequence[str], grid: Mapping[str, Sequence[Any]], *, seeds: Sequence[int] = (0,),
    stage: str | None = None, output: str | Path | None = None, files: Mapping[str, str | Path] | None = None,
    set: Settings = (), tell: Tell = print,
    observers: Callable[[Stage], Sequence[Observer]] | None = None, catalog: Catalog | None = None,
    command: str | None = None,
) -> SweepResult:  # fmt: skip
    """Run a recipe at each point of a grid, for each seed, and compare what comes out.

    Args:
        recipe: by name or path; several are laid over each other.
        grid: values by dotted key, such as ``{"stages.ppo.trainer.kl_coef": [0.05, 0.1]}``.
        seeds: of the stages that the grid changes. What these build on keeps the recipe's seed and is trained once.
        stage: sweep this stage alone; bare keys of the grid are its.
        output: the folder of the recipe's runs, ``runs/NAME`` by default; finished stages in it are reused.
        files: the recipe's named input files.
        set: options of the whole recipe by dotted keys.
    Raises: RLHFError with the mistakes of all points, before anything is trained; or when a shared stage fails.
    """
    catalog = catalog or default_catalog()
    written = read([recipe] if isinstance(recipe, str) else recipe)
    given = {name: str(path) for name, path in (files or {}).items()}
    tree = with_settings(with_given(written, given), as_typed(set))
    planned = plan(tree, catalog, grid, seeds, stage=stage)
    root = Path(output) if output is not None else DEFAULT_ROOT / planned.recipe
    return run_plan(planned, Session(catalog, root, command or command_line(), tell, observers))


def run_plan(planned: Plan, session: Session) -> SweepResult:
    """The shared stages, then each point. A point that fails is told, and the others go on."""
    folder = session.root / FOLDER
    first, shared = planned.points[0].recipe, dict[str, RunFolder]()
    common = [stage for stage in first.stages if stage.name not in planned.varied]
    if ensure_stages(common, first, shared, session, read_ahead(first, session)):
        return SweepResult(folder, [], None, stopped=True)
    results: list[PointResult] = []
    for number, point in enumerate(planned.points, start=1):
        session.tell(f"point {number} of {len(planned.points)}: {point.name}")
        results.append(run_point(point, planned, shared, session))
        # After each, so that what is there can be read while the rest is trained.
        page = write(folder, planned, results, session.command)
        if results[-1].status == "stopped":
            return SweepResult(folder, results, page, stopped=True)
    return SweepResult(folder, results, page)


def run_point(point: Point, planned: Plan, shared: Mapping[str, RunFolder], session: Session) -> PointResult:
    """Train and measure one point."""
    result = PointResult(point)
    here = replace(
        session, root=session.root / FOLDER / point.name, elsewhere={name: run.path for name, run in shared.items()}
    )
    runs, evaluations = dict(shared), dict[str, Mapping[str, Any]]()
    try:
        own = [stage for stage in point.recipe.stages if stage.name in planned.varied]
        if ensure_stages(own, point.recipe, runs, here, {}):
            result.status = "stopped"
        elif point.recipe.evaluate is not None:
            evaluations = evaluate_recipe(point.recipe, runs, here)
    except Exception as error:  # whatever a reward or a plugin raises: it is this point's, not the sweep's
        result.status, result.exit_code = "failed", getattr(error, "exit_code", UNEXPECTED)
        known = isinstance(error, RLHFError)
        result.error = str(error) if known else f"{type(error).__name__}: {error}"
        session.tell(f"{point.name}: failed: {result.error}")
    begun = {name: RunFolder(here.place(name)) for name in planned.swept}
    result.runs = {name: run for name, run in begun.items() if run.exists}
    result.alarms = [alarm for run in result.runs.values() for alarm in run.alarms()]
    if result.status == "finished":
        result.metrics = dict(_metrics(result.runs, evaluations))
    return result


def _metrics(
    runs: Mapping[str, RunFolder], evaluations: Mapping[str, Mapping[str, Any]]
) -> Iterable[tuple[str, float]]:  # fmt: skip
    """(name, value), the stage's name before it where several are swept."""
    for stage, run in runs.items():
        lead = f"{stage}: " if len(runs) > 1 else ""
        for name, value in held_out(run).items():
            yield lead + name, value
        found = evaluations.get(stage, {})
        for row in found.get("summary", ()):
            if row["mean"] is not None:
                yield lead + row["name"], row["mean"]
            if row["better"] and row["difference"] is not None:
                yield f"{lead}{row['name']} − {found['baseline']}", row["difference"]


def held_out(run: RunFolder) -> dict[str, float]:
    """The held-out numbers of the model that the run gives: its best evaluation where it keeps one, else the last."""
    rows = [row for row in run.metrics() if row.get("split") == "validation"]
    best = run.info.get("best_step")
    rows = [row for row in rows if row["step"] == best] or rows
    if not rows:
        return {}
    names = [name for name in rows[-1] if name not in _HEAD and not name.endswith("_se")]
    return {name: rows[-1][name] for name in names if isinstance(rows[-1][name], int | float)}


def table_of(results: Sequence[PointResult]) -> list[dict[str, Any]]:
    """See :attr:`SweepResult.table`."""
    rows = []
    for setting in dict.fromkeys(result.point.setting for result in results):
        of_setting = [result for result in results if result.point.setting == setting]
        finished = [result for result in of_setting if result.status == "finished"]
        names = dict.fromkeys(name for result in finished for name in result.metrics)
        metrics = {}
        for name in names:
            found = over_seeds([result.metrics[name] for result in finished if name in result.metrics])
            metrics[name] = {"mean": found.value, "low": found.low, "high": found.high, "n": found.n}
        values = dict(of_setting[0].point.values)
        rows.append({"setting": setting, "values": values, "seeds": len(finished), "metrics": metrics})
    return rows


def write(folder: Path, planned: Plan, results: Sequence[PointResult], command: str) -> Path:
    """``sweep.json`` and the page. Returns: the page."""
    table = table_of(results)
    content = {
        "recipe": planned.recipe, "command": command, "stages": list(planned.swept),
        "planned": len(planned.points), "points": [result.to_json() for result in results], "table": table,
    }  # fmt: skip
    write_json(folder / "sweep.json", content)
    return write_sweep_page(folder, content)
