"""`rlhf train`: from an algo's name and the flags beside it to one stage of a recipe and what that stage needs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlhf_core.contract.errors import RLHFError
from rlhf_core.contract.identity import ADAPTER_FILE, read_identity
from rlhf_core.registry.catalog import Catalog
from rlhf_core.store.atomic import write_text
from rlhf_core.store.run import DEFAULT_ROOT, RunFolder

from .handle import Run
from .lending import finished_model
from .written.files import with_given
from .written.locate import DEFAULT_RECIPE
from .written.node import Node, node_of
from .written.resolve import read, resolve
from .written.resolved import BASE, Recipe
from .written.schema import EvaluateOptions
from .written.settings import Settings, as_typed, stage_index, stage_names, with_settings, with_value

Records = Sequence[Mapping[str, Any]]

_FUNCTION = re.compile(r"^[\w./~-]+(\.py)?:[A-Za-z_]\w*$")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a user asks of one training. Everything but ``algo`` may be left to the recipe.

    Args:
        data: a file, ``ORG/NAME`` on the hub, or a plugin's data set by name.
        files: paths of the recipe's named input files.
        reward: a reward's name, ``module:function``, the folder of a reward model's run, a section, or a function.
        training: options of the loop by name.
        settings: ``key=value``, of the chosen stage unless they begin with a key of the whole recipe.
    """

    algo: str | None = None
    stage: str | None = None
    configs: tuple[str, ...] = (DEFAULT_RECIPE,)
    model: str | None = None
    data: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    reward: Any = None
    start: str | None = None
    seed: int | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    track: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The recipe with the wish laid over it, resolved; ``name`` is the stage that is wanted."""

    recipe: Recipe
    name: str
    told: tuple[str, ...]


def wish_of(
    algo: str | None, *, config: str | Sequence[str] = DEFAULT_RECIPE, stage: str | None = None,
    model: str | None = None, data: str | Path | Records | None = None, files: Mapping[str, str | Path] | None = None,
    reward: Any = None, start: str | Run | None = None, seed: int | None = None, track: Sequence[str] = (),
    set: Settings = (), **training: Any,
) -> Wish:  # fmt: skip
    """From the arguments of :func:`rlhf_core.train`."""
    return Wish(
        algo=algo, stage=stage, configs=(config,) if isinstance(config, str) else tuple(config), model=model,
        data=data_file(data), files={name: str(path) for name, path in (files or {}).items()},
        reward=str(reward.path) if isinstance(reward, Run) else reward,
        start=str(start.path) if isinstance(start, Run) else start, seed=seed, training=training,
        track=tuple(track), settings=as_typed(set),
    )  # fmt: skip


def data_file(data: str | Path | Records | None) -> str | None:
    """Records as a file, by their content: a run that goes on, or is measured, reads them again."""
    if data is None or isinstance(data, str | Path):
        return None if data is None else str(data)
    text = "".join(json.dumps(dict(record), ensure_ascii=False) + "\n" for record in data)
    path = DEFAULT_ROOT / "data" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.jsonl"
    write_text(path, text)
    return str(path)


def choose(wish: Wish, catalog: Catalog) -> Choice:
    """Raises: RLHFError with everything that is wrong with wish and recipe."""
    recipe = with_given(read(wish.configs), wish.files)
    if wish.algo is not None:
        catalog.find("trainer", wish.algo)
    told: list[str] = []
    recipe, name = _chosen_stage(recipe, wish, told.append)
    index = stage_index(recipe, name, "--stage")
    recipe = _with_wish(recipe, index, wish, catalog, told.append)
    recipe = with_settings(recipe, wish.settings, stage=name)
    resolved = resolve(recipe, catalog, stages=[name], evaluate=False)
    if wish.data is not None and resolved.measured is not None:
        # What the recipe measures is about its own data; the run is asked what it held out of the user's.
        own = EvaluateOptions(sampling=resolved.measured.sampling, seed=resolved.measured.seed)
        resolved = replace(resolved, measured=own)
    return Choice(resolved, name, tuple(told))


def _chosen_stage(recipe: Node, wish: Wish, tell: Callable[[str], None]) -> tuple[Node, str]:
    """The stage's name, after adding it where the recipe has none of that algo."""
    names = stage_names(recipe)
    config = " + ".join(wish.configs)
    if wish.stage is not None:
        stage = recipe.get("stages", stage_index(recipe, wish.stage, "--stage"))
        algo = stage.get("algo") if stage else None
        if wish.algo is not None and algo is not None and algo.value != wish.algo:
            raise RLHFError(f"--stage {wish.stage}: its algo is {algo.value}, not {wish.algo}; leave one of them out")
        return recipe, wish.stage
    if wish.algo is None:
        if len(names) == 1:
            return recipe, names[0]
        raise RLHFError(f"--algo is missing: {config} has the stages {', '.join(names)}; name an algo, or a --stage")
    stages = recipe.get("stages")
    rows = [node for _, node in stages.each()] if stages else []
    bare = wish.algo.rpartition("/")[2]
    fitting = [
        name
        for name, row in zip(names, rows, strict=True)
        if (algo := row.get("algo")) is not None and algo.value in (wish.algo, bare)
    ]
    if len(fitting) > 1:
        choices = " or ".join(f"--stage {name}" for name in fitting)
        raise RLHFError(f"--algo {wish.algo}: {config} has {len(fitting)} such stages; say {choices}")
    if fitting:
        return recipe, fitting[0]
    tell(f"{config} has no stage of {wish.algo}; this is a fresh one with the recipe's model and data")
    place = f"--algo {wish.algo}"
    fresh = node_of({"name": bare, "algo": wish.algo}, place)
    return recipe.with_value("stages", Node([*rows, fresh], place, recipe.folder)), bare


def _with_wish(recipe: Node, index: int, wish: Wish, catalog: Catalog, tell: Callable[[str], None]) -> Node:
    """The flags laid over the chosen stage."""

    def lay(keys: Sequence[str], value: Any, flag: str, whole: bool = False) -> None:
        nonlocal recipe
        recipe = with_value(recipe, ("stages", index, *keys), replace(node_of(value, flag), whole=whole))

    stage = recipe.get("stages", index)
    name = stage_names(recipe)[index]
    start = stage.get("from") if stage else None
    if wish.data is not None:
        lay(["data"], data_section(wish.data, catalog), "--data", whole=True)
    if wish.model is not None:
        lay(["model", "path"], _model_path(wish.model), "--model")
    if wish.start is not None:
        lay(["from"], wish.start, "--from")
        _take_base(wish, lay, tell)
    elif (wish.data is not None or wish.model is not None) and start is not None and start.value != BASE:
        flag = "--data" if wish.data is not None else "--model"
        lay(["from"], BASE, flag)
        tell(f"{name}: starts from the base and not from {start.value}, since {flag} is given; --from says otherwise")
    if wish.reward is not None:
        lay(["reward"], reward_section(wish.reward, catalog), "--reward", whole=True)
    if wish.seed is not None:
        lay(["seed"], wish.seed, "--seed")
    for key, value in wish.training.items():
        lay(["training", key], value, f"--{key.replace('_', '-')}")
    if wish.track:
        lay(["track"], [{"tracker": tracker} for tracker in wish.track], "--track")
    return recipe


def data_section(data: str, catalog: Catalog) -> dict[str, Any]:
    """``--data`` as a recipe's section. Raises: RLHFError when there is neither such a file nor such a data set."""
    validation = {"fraction": 0.1}
    path = Path(data).expanduser()
    if path.is_file():
        return {"sources": [{"path": str(path.absolute())}], "validation": validation}
    datasets = catalog.names("dataset")
    if data in datasets:
        return {"sources": [{"source": data}], "validation": validation}
    if re.fullmatch(r"[\w.-]+/[\w.-]+", data) and not path.suffix:
        return {"sources": [{"hub": data}], "validation": validation}
    raise RLHFError(
        f"--data {data}: no such file in {Path.cwd()}, no data set of a plugin ({', '.join(datasets) or 'none'}) "
        "and no hub name ORG/NAME"
    )


def reward_section(reward: Any, catalog: Catalog) -> dict[str, Any]:
    """``--reward`` as a recipe's section. Raises: RLHFError naming the rewards there are."""
    if isinstance(reward, Mapping):
        return dict(reward)
    if callable(reward):
        return {"reward": "python", "function": reward}
    text = str(reward)
    if RunFolder(Path(text).expanduser()).exists:
        return {"reward": "reward-model", "run": text}
    if _FUNCTION.match(text):
        return {"reward": "python", "function": text}
    catalog.find("reward", text)
    return {"reward": text}


def _model_path(model: str) -> str:
    """A folder by its absolute path; other names as they are."""
    folder = Path(model).expanduser()
    return str(folder.absolute()) if folder.is_dir() else model


def _take_base(wish: Wish, lay: Callable[[Sequence[str], Any, str], None], tell: Callable[[str], None]) -> None:
    """A run that is started from brings its base: an adapter fits no other."""
    start = Path(str(wish.start)).expanduser()
    if wish.model is not None or not RunFolder(start).exists:
        return
    model = finished_model(RunFolder(start))
    base = read_identity(model)["base"].get("path")
    if base and (model / ADAPTER_FILE).is_file():
        lay(["model", "path"], base, "--from")
        tell(f"base model: {base}, that of {wish.start}")
