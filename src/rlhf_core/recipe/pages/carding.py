"""The card that goes with a run's policy."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rlhf_core.contract.identity import ADAPTER_FILE
from rlhf_core.report.card import MARKER, CardContent, render_card
from rlhf_core.report.content import StageContent
from rlhf_core.store.atomic import write_text
from rlhf_core.store.run import RunFolder

from .contents import evaluation_contents, stage_content, texts

CARD = "README.md"

_PLAIN = (
    "from transformers import AutoModelForCausalLM, AutoTokenizer",
    "",
    'model = AutoModelForCausalLM.from_pretrained("FOLDER")  # the folder of this file',
    'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
)
_ADAPTER = (
    "from peft import AutoPeftModelForCausalLM",
    "from transformers import AutoTokenizer",
    "",
    'model = AutoPeftModelForCausalLM.from_pretrained("FOLDER")  # the folder of this file; finds its base by itself',
    'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
)


def card_of(run: RunFolder, folder: Path, *, licence: str | None = None) -> str:
    """The text of the card.

    Args:
        folder: the model that it describes: the run's own, or an exported one.
        licence: as hubs name it, such as ``mit``; None says that nobody has said.
    """
    adapter = (folder / ADAPTER_FILE).is_file()
    base = str((run.info.get("base") or {}).get("path") or "")
    return render_card(
        CardContent(
            stage=_published(stage_content(run), base),
            evaluations=evaluation_contents(run),
            license=licence or "unknown",
            loading=_ADAPTER if adapter else _PLAIN,
            merged=not adapter,
            hub_base="" if _is_folder(base) else base,
            versions=texts(run.info.get("versions")),
        )
    )


def _published(stage: StageContent, base: str) -> StageContent:
    """Without what only this machine knows: a card travels."""
    kept = {label: value for label, value in stage.provenance.items() if label != "machine"}
    if base and _is_folder(base):
        kept["base"] = Path(base).name
    return dataclasses.replace(stage, provenance=kept)


def _is_folder(base: str) -> bool:
    return Path(base).is_absolute() or base.startswith(".")


def write_card(run: RunFolder) -> None:
    """Into the run's ``model/``, unless somebody has put a README of their own there."""
    path = run.model / CARD
    if run.model.is_dir() and (not path.is_file() or MARKER in path.read_text("utf-8")):
        write_text(path, card_of(run, run.model))


def run_of(source: Path) -> RunFolder | None:
    """The run that a model's folder belongs to; None for a model that stands by itself."""
    run = RunFolder(source.parent)
    return run if run.exists else None
