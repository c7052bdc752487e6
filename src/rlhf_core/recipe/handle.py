"""A run as Python sees it: metrics as rows, samples, the policy, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlhf_core.contract.records import PromptRecord
from rlhf_core.registry.catalog import Catalog, default_catalog
from rlhf_core.store.run import RunFolder

from .lending import Lender
from .pages.reporting import write_run_page
from .written import yaml
from .written.node import node_of
from .written.problems import Findings, validate
from .written.schema import SamplingOptions

if TYPE_CHECKING:
    from rlhf_core.evaluation.result import EvaluationResult, SummaryRow
    from rlhf_core.policy.policy import TrunkPolicy


class Run:
    """A run and what it left: metrics as rows, samples, the policy, the report.

    Args:
        path: its folder, or its name under ``runs/``.
    """

    def __init__(self, path: str | Path, *, catalog: Catalog | None = None) -> None:
        self.folder = RunFolder.open(path)
        self._catalog = catalog

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.status})"

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``stopped`` or ``failed``."""
        return self.folder.status

    @property
    def info(self) -> dict[str, Any]:
        """``run.json``: command, versions, seeds, data, parents, times."""
        return self.folder.info

    @property
    def config(self) -> dict[str, Any]:
        """The resolved recipe of the stage."""
        config: dict[str, Any] = yaml.load(self.folder.recipe).plain()
        return config

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One row per line of ``metrics.jsonl``."""
        return self.folder.metrics()

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Answers to the held-out prompts at each evaluation during training."""
        return self.folder.samples()

    @property
    def held_out(self) -> list[dict[str, Any]]:
        """What was measured of single held-out rows at each evaluation during training, such as their ``loss``."""
        return self.folder.held_out()

    @property
    def evaluations(self) -> dict[str, Any]:
        """What ``evaluate`` wrote, by name."""
        return {name: self.folder.evaluation(name) for name in self.folder.evaluation_names()}

    @property
    def report(self) -> Path:
        """The page, written anew where it is not there."""
        return self.folder.report if self.folder.report.is_file() else write_run_page(self.folder)

    @cached_property
    def policy(self) -> TrunkPolicy:
        """The trained policy, frozen; opened when first asked for."""
        from rlhf_core.training.precision import choose_device

        catalog = self._catalog or default_catalog()
        return Lender(catalog, choose_device("auto"), Path.cwd()).open_writer(str(self.path))

    def generate(self, prompts: str | Sequence[str], *, seed: int = 0, **sampling: Any) -> list[str]:
        """An answer per prompt (``n`` of them with ``n=``), in order.

        Args:
            sampling: fields of :class:`SamplingSpec`; what is left out is as in training.
        """
        recorded = self.config["stages"][0]["sampling"] if self.folder.recipe.is_file() else {"max_new_tokens": 64}
        return answers(self.policy, [prompts] if isinstance(prompts, str) else prompts, {**recorded, **sampling}, seed)


def answers(policy: TrunkPolicy, prompts: Sequence[str], sampling: Mapping[str, Any], seed: int) -> list[str]:
    """Raises: RLHFError for a prompt that does not fit, or sampling options that make no sense."""
    from rlhf_core.evaluation.running import sample_completions

    findings = Findings()
    options = validate(node_of(dict(sampling), ""), SamplingOptions, findings, owner="sampling")
    findings.stop_if_any()
    assert options is not None
    records = [PromptRecord(id=f"prompt:{number}", prompt=prompt) for number, prompt in enumerate(prompts, 1)]
    return [completion.text for completion in sample_completions(policy, records, options.spec(), seed=seed)]


class EvaluatedRun(Run):
    """A run that was just measured: ``result`` holds the summary with its intervals and a row per completion."""

    def __init__(self, path: Path, result: EvaluationResult, *, name: str, catalog: Catalog) -> None:
        super().__init__(path, catalog=catalog)
        self.result = result
        self.name = name

    def __getitem__(self, metric: str) -> SummaryRow:
        """A line of the summary by ``evaluator/metric``. Raises: KeyError naming what there is."""
        return self.result[metric]
