"""The made data of the benchmark: little grammars and the embedded puns, as files beside a copy of the recipe.

A world is a folder: ``texts``, ``demonstrations``, ``pairs``, ``labelled`` and ``prompts`` (``.jsonl``, each with a
``-held`` twin), spoilt copies of some of them, ``recipe.yaml``, ``rewards.py`` and ``base``, the model that its cases
start from. Everything follows from the seeds written here.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grammars import GRAMMARS, Grammar
from spoilt import SPOILT, SPOILT_AS_A_WHOLE, Row

import rlhf_core
from rlhf_plugins.puns.dataset import PunData
from rlhf_plugins.puns.options import PunDataOptions

HERE = Path(__file__).parent
RATES = {
    "little": {"sft": 5e-4, "reward": 1e-3, "classes": 1e-3, "dpo": 2e-4, "ppo": 5e-4},
    "embedded": {"sft": 1e-3, "reward": 2e-3, "classes": 2e-3, "dpo": 2e-4, "ppo": 4e-4},
}
"""A sensible peak learning rate of each stage: a little model trained whole, the embedded one by its adapters."""
VALUE_RATES = {"little": 2e-3, "embedded": 1e-3}
SLOPPY = 0.25
"""Share of the base's texts that are badly written: what a policy can find when a reward pays for it."""


@dataclass(frozen=True)
class World:
    """Args: sizes: rows of each kind. held: of each ``-held`` twin. base: options of the model its cases start from.
    rest: of all other stages."""

    sizes: Mapping[str, int]
    held: int
    base: Mapping[str, Any] = field(default_factory=dict)
    rest: Mapping[str, Any] = field(default_factory=dict)


SMALL = {"texts": 1500, "demonstrations": 160, "pairs": 240, "labelled": 240, "prompts": 96}
LARGER = {"texts": 1800, "demonstrations": 320, "pairs": 400, "labelled": 400, "prompts": 120}
MIDDLE = {"texts": 2200, "demonstrations": 240, "pairs": 320, "labelled": 280, "prompts": 144}
WORLDS: Mapping[str, World] = {
    "errands": World(SMALL, 48),
    "letters": World(SMALL, 48),
    "puns": World(SMALL, 48),
    "notices": World(LARGER, 64, {"model.layers": 1, "model.width": 96, "model.heads": 3}),
    "tales": World(LARGER, 64, {"model.layers": 3, "model.width": 48, "model.heads": 2}),
    "jokes": World({**LARGER, "texts": 0}, 64),
    # Of the held half alone.
    "forecasts": World(MIDDLE, 56, {"model.layers": 2, "model.width": 80, "model.heads": 4, "model.vocabulary": 400}),
    "reviews": World(
        MIDDLE, 56, {"model.layers": 4, "model.width": 56, "model.heads": 4, "model.context": 96},
        {"sampling.max_new_tokens": 48},
    ),
    "ways": World(
        MIDDLE, 56, {"model.layers": 1, "model.width": 128, "model.heads": 4}, {"sampling.max_new_tokens": 44}
    ),
    "menus": World(MIDDLE, 56, {"model.layers": 3, "model.width": 64, "model.heads": 8, "model.vocabulary": 640}),
    # Its base has read text that goes on and on.
    "endless": World(MIDDLE, 56, {"data.end_texts": False, "data.text_rows": "blocks", "training.batch_size": 16}),
    "quips": World({**MIDDLE, "texts": 0}, 56),
}  # fmt: skip


def make(name: str, folder: Path) -> Path:
    """Write a world and train its base. Returns: its folder; what is there already is kept."""
    if (folder / "base" / "model").is_dir():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = random.Random(f"world {name}")
    world = WORLDS[name]
    for kind, count in world.sizes.items():
        for suffix, size in (("", count), ("-held", world.held)):
            rows = list(_rows(name, kind, size, suffix, rng))
            _write(folder / f"{kind}{suffix}.jsonl", rows)
            for fault, spoil in SPOILT.get(kind, {}).items():
                _write(folder / f"{kind}-{fault}{suffix}.jsonl", [spoil(row, rng) for row in rows])
            for fault, spoil_all in SPOILT_AS_A_WHOLE.get(kind, {}).items():
                dice = random.Random(f"world {name}, {kind}{suffix}, {fault}")
                _write(folder / f"{kind}-{fault}{suffix}.jsonl", spoil_all(rows, dice))
    for file in ("recipe.yaml", "rewards.py"):
        shutil.copy(HERE / file, folder)
    if _is_embedded(name):
        (folder / "base" / "model").mkdir(parents=True)
    else:
        rlhf_core.train(
            algo="pretrain", config=str(folder / "recipe.yaml"), output=folder / "base", set=dict(world.base),
            tell=lambda _line: None,
        )  # fmt: skip
    return folder


def settings(name: str, folder: Path, stage: str) -> dict[str, Any]:
    """What a world sets over the recipe for one of its stages."""
    embedded = _is_embedded(name)
    if stage == "base":
        return {"training.learning_rate": 5e-3, **WORLDS[name].base}
    smaller = {"training.batch_size": 16, "training.steps": 12, "data.validation.limit": 24}
    return {
        **(smaller if embedded and stage == "ppo" else {}),
        **WORLDS[name].rest,
        "model.path": "res:tiny-gpt2" if embedded else str((folder / "base").resolve()),
        "model.lora": {"r": 16, "alpha": 32} if embedded else None,
        "sampling.temperature": 0.7 if embedded else 1.0,
        "training.learning_rate": RATES["embedded" if embedded else "little"][stage],
    }


def value_rate(name: str) -> float:
    return VALUE_RATES["embedded" if _is_embedded(name) else "little"]


def _is_embedded(name: str) -> bool:
    """Whether its cases start from the model that comes with the package, and its rows from the puns."""
    return name not in GRAMMARS


def _write(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _rows(name: str, kind: str, count: int, suffix: str, rng: random.Random) -> Iterator[Row]:
    if _is_embedded(name):
        yield from _puns(kind, count, "validation" if suffix else "train", rng)
        return
    for number in range(count):
        yield {"id": f"{kind}{suffix}-{number}", **_made(kind, GRAMMARS[name], rng)}


def _made(kind: str, grammar: Grammar, rng: random.Random) -> Row:
    subject, tone = rng.choice(grammar.subjects), rng.choice((grammar.good, grammar.bad))
    prompt = grammar.prompt.format(subject)
    if kind == "texts":
        text = grammar.line(subject, tone, rng)
        return {"text": f"{prompt}\n{_sloppy(text, rng) if rng.random() < SLOPPY else text}"}
    if kind == "demonstrations":
        return {"prompt": prompt, "completion": grammar.line(subject, grammar.good, rng)}
    if kind == "pairs":
        chosen, rejected = (grammar.line(subject, side, rng) for side in (grammar.good, grammar.bad))
        return {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    if kind == "labelled":
        return {"text": grammar.line(subject, tone, rng), "label": "glad" if tone is grammar.good else "sad"}
    return {"prompt": prompt}


def _sloppy(text: str, rng: random.Random) -> str:
    words = text.split()
    at = rng.randrange(1, len(words))
    match rng.randrange(5):
        case 0:
            return " ".join([*words[:at], *[words[at]] * rng.randint(2, 5), *words[at + 1 :]])
        case 1:
            return ", ".join(words)
        case 2:
            return " ".join(words[:at]) + rng.choice((" -- ", "!!! ", "... ")) + " ".join(words[at:])
        case 3:
            return " ".join(words[:at])
    return f"{text} {text}"


def _puns(kind: str, count: int, split: str, rng: random.Random) -> Iterator[Row]:
    if kind == "texts":
        return
    view = {"demonstrations": "demonstrations", "prompts": "prompts"}.get(kind, "pairs")
    rows = list(PunData(PunDataOptions(view=view, generated=2)).rows(split))
    for number, row in enumerate(rng.sample(rows, min(count, len(rows)))):
        base = {"id": f"{kind}-{split}-{number}", "prompt": row["prompt"]}
        if kind == "labelled":
            side = number % 2
            yield {
                "id": base["id"],
                "text": row["rejected" if side else "chosen"],
                "label": "plain" if side else "pun",
            }
        else:
            yield base | {key: row[key] for key in ("completion", "chosen", "rejected") if key in row}
