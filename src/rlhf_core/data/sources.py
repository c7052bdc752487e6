"""From a source of the recipe to its raw rows: a file, a data set of the hub, or a plugin's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from rlhf_core.contract.dataset import Dataset
from rlhf_core.contract.errors import RLHFError

from .documents import DocumentRules
from .options import SourceOptions
from .rawrow import BadRow, RawRow, kind_of, place
from .readers import Rows, plain_columns, read

OpenDataset: TypeAlias = Callable[[str, Mapping[str, Any]], Dataset]
"""A dataset component by name with its options, from whoever knows the plugins."""


def open_source(source: SourceOptions, name: str, *, folder: Path, open_dataset: OpenDataset) -> Rows:
    """Raw rows of one source. ``name`` is what ids and messages call it; paths are relative to ``folder``.

    Raises: RLHFError when the source as a whole cannot be read.
    """
    if source.path is not None:
        rules = DocumentRules(documents=source.documents, start_after=source.start_after, end_before=source.end_before)
        rows = read(folder / Path(source.path).expanduser(), name=name, rules=rules)
        return rows if source.split is None else _of_split(rows, name, source.split)
    if source.hub is not None:
        return _hub(source, name)
    return _component(source, name, open_dataset)


def source_names(sources: Sequence[SourceOptions]) -> list[str]:
    """A short name for each: the file's own name; the whole path, or a number, where two would be the same."""
    short = [Path(source.path).name if source.path else source.label for source in sources]
    counts = Counter(short)
    longer = [name if counts[name] == 1 else source.label for name, source in zip(short, sources, strict=True)]
    seen: Counter[str] = Counter()
    names = []
    for name in longer:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}({seen[name]})")
    return names


def _of_split(rows: Rows, name: str, split: str) -> Rows:
    """Rows of a file whose column ``split`` says so."""
    found: Counter[str] = Counter()
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        if "split" not in row.columns:
            columns = ", ".join(row.columns)
            raise RLHFError(
                f"{row.where}: split: {split} takes the rows whose column 'split' says so; the columns are {columns}; "
                "add that column, or leave split out"
            )
        value = str(row.columns["split"])
        found[value] += 1
        if value == split:
            yield row
    if not found[split]:
        raise RLHFError(f"{name}: no row of the split '{split}'; the column 'split' has {', '.join(sorted(found))}")


def _component(source: SourceOptions, name: str, open_dataset: OpenDataset) -> Iterator[RawRow | BadRow]:
    dataset = open_dataset(str(source.source), source.extra)
    for number, columns in enumerate(dataset.rows(source.split or "train"), start=1):
        if isinstance(columns, Mapping):
            yield RawRow(source=name, row=number, line=number, columns=columns)
        else:
            found = f"{place(name, number, None)}: expected an object of columns, found {kind_of(columns)}"
            yield BadRow(row=number, message=found)


def _hub(source: SourceOptions, name: str) -> Iterator[RawRow | BadRow]:
    import datasets

    split = source.split or "train"
    try:
        table = datasets.load_dataset(source.hub, source.config, split=split)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RLHFError(
            f"{name}: the hub data set (split '{split}') cannot be loaded: {reason}; check the name, the split and the "
            "network, or download it and name its file by path"
        ) from error
    for number, columns in enumerate(table, start=1):
        yield RawRow(source=name, row=number, line=number, columns=plain_columns(columns))
