"""Measure runs: the same prompts to each, every evaluator over the answers, results kept in the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.evaluator import EvalContext, Evaluator
from rlhf_core.contract.identity import read_identity
from rlhf_core.contract.judge import Judge, unwatched
from rlhf_core.contract.records import Demonstration, Preference, PromptRecord, Record, Text, prompt_text
from rlhf_core.contract.reward import Completion
from rlhf_core.data.loading import load_records
from rlhf_core.data.options import DataOptions, TemplateOptions
from rlhf_core.evaluation.judging import judge_evaluator
from rlhf_core.evaluation.result import EvaluationResult
from rlhf_core.evaluation.running import evaluate, sample_completions
from rlhf_core.registry.catalog import Catalog
from rlhf_core.report.exports import to_csv, to_markdown
from rlhf_core.store.atomic import write_json, write_text
from rlhf_core.store.run import RunFolder
from rlhf_core.training.precision import choose_device

from ..fingerprints import digest, run_fingerprint
from ..lending import Lender, Watch, finished_model, model_folder
from ..pages.contents import evaluation_content
from ..written.files import require
from ..written.resolve import read, resolve
from ..written.resolved import BASE, Evaluate, Stage
from ..written.sections import Section, with_stages_resolved
from .familiarity import familiar, prompt_marks
from .partiality import warnings_of

if TYPE_CHECKING:
    from rlhf_core.policy.policy import TrunkPolicy


@dataclass(frozen=True)
class Subject:
    """A policy and its answers to the evaluation's prompts."""

    name: str
    policy: TrunkPolicy
    completions: Sequence[Completion]


class Measurement:
    """Measures any number of runs in one way; policies and answers are kept for the next one.

    Args:
        runs: run folders by the names of stages.
        tell: where lines for the user go. ``asked``: where the judge's progress goes.
    """

    def __init__(
        self, options: Evaluate, catalog: Catalog, *, runs: Mapping[str, str], tell: Callable[[str], None],
        asked: Watch = unwatched,
    ) -> None:  # fmt: skip
        self.options = options
        self.catalog = catalog
        self.runs = runs
        self.tell = tell
        self.asked = asked
        self.device = choose_device("auto")
        self._subjects: dict[tuple[str, str], Subject] = {}
        self._judge: Judge | None = None

    def of(self, run: RunFolder, *, baseline: str | None = None, name: str) -> Mapping[str, Any]:
        """Measure ``run``, beside ``baseline`` (a stage, a run, a model, or ``base``) where one is given.

        Returns: what is written to ``evaluation/NAME.json``; an evaluation of the very same question is not repeated.
        Raises: RLHFError when there is nothing to ask, or an evaluator lacks what it needs.
        """
        records = self.records(run)
        mark = self._mark(run, baseline, records)
        written = run.evaluation(name)
        what = f"{run.name}: evaluation" + (f" against {baseline}" if baseline else "")
        if written is not None and written.get("fingerprint") == mark:
            self.tell(f"{what} is there already, reused")
            return written
        self.tell(f"{what} on {len(records)} prompts")
        return self.write(run, baseline, name, records, self.measure(run, baseline, records))

    def measure(self, run: RunFolder, baseline: str | None, records: Sequence[PromptRecord]) -> EvaluationResult:
        """As :meth:`of`, without a file."""
        lender = self._lender(run)
        # Before anything is sampled: a key, a run or a protocol that is not there costs no waiting.
        evaluators = self._built(lender, compared=baseline is not None)
        own = self._subject(str(run.path), records, lender)
        other = self._subject(self._place(run, baseline), records, lender) if baseline is not None else None
        wants_texts = any("train_set" in evaluator.needs for evaluator in evaluators.values())
        texts = self._train_texts(run) if wants_texts else None
        result = evaluate(
            own.completions, evaluators,
            EvalContext(lend=lender.context(), policy=own.policy, train_texts=texts),
            baseline=other.completions if other else None, baseline_policy=other.policy if other else None,
            seed=self.options.options.seed,
        )  # fmt: skip
        return replace(result, warnings=self._warnings(run, baseline, records))

    def _built(self, lender: Lender, *, compared: bool) -> dict[str, Evaluator]:
        """Evaluators and judge, ready to be asked."""
        options, judge = self.options.options, self.options.judge
        built = {name: _prepared(section.build(self.runs), lender) for name, section in self.options.evaluators.items()}
        if judge is not None:
            built[self.options.judge_name] = judge_evaluator(
                self._asked_judge(judge, lender), baseline=compared, probes=options.probes, seed=options.seed
            )
        return built

    def _warnings(self, run: RunFolder, baseline: str | None, records: Sequence[PromptRecord]) -> list[str]:
        subjects = [run, *([RunFolder(Path(self.runs.get(baseline, baseline)))] if baseline is not None else [])]
        measures = dict(self.options.evaluators)
        if self.options.judge is not None:
            measures[self.options.judge_name] = self.options.judge
        told = warnings_of(subjects, measures, self.runs, self.options.folder)
        asked = {"prompts of this evaluation": prompt_marks(records)}
        for name, section in measures.items():
            resolved = with_stages_resolved(section.plain(), self.runs)
            for place, share in familiar(resolved, self.options.folder, asked):
                told.append(f"{name}: {place} was itself trained on {share}, so it flatters there; ask other prompts")
        return told

    def _asked_judge(self, section: Section, lender: Lender) -> Judge:
        """One for all that is measured: its budget is that of the whole command."""
        if self._judge is None:
            self._judge = lender.prepared_judge(section.build(self.runs))
        return self._judge

    def write(
        self, run: RunFolder, baseline: str | None, name: str, records: Sequence[PromptRecord], result: EvaluationResult
    ) -> Mapping[str, Any]:
        """``evaluation/NAME.json``, the summary and what was asked, and ``NAME.jsonl``, a line per completion; the same
        as ``NAME.csv`` for spreadsheets and ``NAME.md`` for readers."""
        mark = self._mark(run, baseline, records)
        head = {"name": name, "run": str(run.path), "baseline": baseline, "fingerprint": mark, "prompts": len(records)}
        content = {**head, **self._asked(), **result.to_json()}
        rows = result.rows()
        lines = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        write_text(run.evaluations / f"{name}.jsonl", lines)
        write_text(run.evaluations / f"{name}.csv", to_csv(rows))
        write_summary(run, name, content, rows)
        return content

    def records(self, run: RunFolder) -> list[PromptRecord]:
        """The prompts: the evaluation's own, else those that the run held out. Each once, unless draws are numbered."""
        lender = self._lender(run)
        data, split = self.options.options.data, "train"
        if data is None:
            data, split = recorded_stage(run, self.catalog).options.data, "validation"
        records = load_prompts(data, split, lender)
        if not records:
            raise RLHFError(f"{run.path}: nothing to ask: the run held out no data; give prompts by --data FILE")
        return list({_asked_as(record): record for record in reversed(records)}.values())[::-1]

    def _subject(self, place: str, records: Sequence[PromptRecord], lender: Lender) -> Subject:
        key = (place, digest([record.id for record in records]))
        if key not in self._subjects:
            policy = lender.open_writer(place)
            options = self.options.options
            completions = sample_completions(policy, records, options.sampling.spec(), seed=options.seed)
            self._subjects[key] = Subject(place, policy, completions)
        return self._subjects[key]

    def _place(self, run: RunFolder, baseline: str | None) -> str:
        """Where the baseline's model lies."""
        if baseline != BASE:
            named = self.runs.get(str(baseline), str(baseline))
            return model_folder(named, self.options.folder)
        base = read_identity(finished_model(run))["base"].get("path")
        if not base:
            raise RLHFError(f"{run.path}: was made from scratch and has no base to compare with; name another baseline")
        return str(base)

    def _lender(self, run: RunFolder) -> Lender:
        template = read_identity(finished_model(run))["template"]
        options = TemplateOptions.model_validate(template) if template else TemplateOptions()
        return Lender(self.catalog, self.device, self.options.folder, self.runs, options, self.tell, asked=self.asked)

    def _asked(self) -> dict[str, Any]:
        options = self.options.options
        return {
            "evaluators": {name: section.plain() for name, section in self.options.evaluators.items()},
            "judge": self.options.judge.plain() if self.options.judge else None,
            "probes": options.probes,
            "sampling": options.sampling.model_dump(),
        }

    def _mark(self, run: RunFolder, baseline: str | None, records: Sequence[PromptRecord]) -> str:
        compared = None
        if baseline is not None:
            place = Path(self.runs.get(baseline, baseline))
            compared = run_fingerprint(RunFolder(place)) if RunFolder(place).exists else baseline
        referred = {name: run_fingerprint(RunFolder.open(folder)) for name, folder in self.runs.items()}
        prompts = [(record.id, prompt_text(record.prompt)) for record in records]
        seed = self.options.options.seed
        return digest([run_fingerprint(run), compared, referred, prompts, self._asked(), seed])

    def _train_texts(self, run: RunFolder) -> list[str] | None:
        """Completions that the run was trained on; None where its data is not at hand any more."""
        try:
            stage = recorded_stage(run, self.catalog)
            record_class: type[Record] = stage.trainer.build().Record
            lender = self._lender(run)
            loaded = load_records(
                stage.options.data, record_class, split="train", folder=Path.cwd(), open_dataset=lender.open_dataset
            )
        except RLHFError as error:
            self.tell(f"{run.path}: its training data cannot be read again ({str(error).splitlines()[0]})")
            return None
        return list(_completions(loaded.records)) or None


def write_summary(run: RunFolder, name: str, content: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """``evaluation/NAME.json`` and, in words, ``NAME.md``."""
    write_text(run.evaluations / f"{name}.md", to_markdown(evaluation_content(run, name, content, rows)))
    write_json(run.evaluations / f"{name}.json", content)


def check_prompts(evaluate: Evaluate, catalog: Catalog) -> None:
    """Read the evaluation's own prompts, to see that they can be. Raises: RLHFError as reading does."""
    require(evaluate.files)
    data = evaluate.options.data
    if data is not None:
        load_prompts(data, "train", Lender(catalog, choose_device("auto"), evaluate.folder))


def _asked_as(record: PromptRecord) -> tuple[str, str]:
    """What tells prompts apart. A source that repeats one on purpose numbers the repetitions in a column ``draw``."""
    return prompt_text(record.prompt), str(record.fields.get("draw", ""))


def load_prompts(data: DataOptions, split: Any, lender: Lender) -> list[PromptRecord]:
    return load_records(data, PromptRecord, split=split, folder=Path.cwd(), open_dataset=lender.open_dataset).records


def recorded_stage(run: RunFolder, catalog: Catalog) -> Stage:
    """The stage that a run is of, from its own ``recipe.yaml``. Raises: RLHFError when that is not there."""
    return resolve(read([str(run.recipe)]), catalog, evaluate=False).stages[0]


def _prepared(evaluator: Any, lender: Lender) -> Evaluator:
    prepare = getattr(evaluator, "prepare", None)
    if prepare is not None:
        prepare(lender.context())
    checked: Evaluator = evaluator
    return checked


def _completions(records: Iterable[Record]) -> Iterable[str]:
    for record in records:
        match record:
            case Demonstration():
                yield record.completion
            case Preference():
                yield record.chosen
            case Text():
                yield record.text
