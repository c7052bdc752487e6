"""A run that was evaluated against a baseline, without a model: what labelling starts from."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlhf_core.recipe.people.labelling import Request, Session, label_set, open_session
from rlhf_core.report.labelling import LabelPage
from rlhf_core.store.labels import SQLiteLabels
from rlhf_core.store.run import RunFolder


def evaluated_run(folder: Path, texts: list[tuple[str, str]], **columns: list[Any]) -> RunFolder:
    """``texts``: the run's completion and the baseline's of each prompt. ``columns``: of the run's rows, by name."""
    run = RunFolder.create(folder, info={"algo": "dpo"})
    run.evaluations.mkdir()
    (run.evaluations / "puns.json").write_text(json.dumps({"baseline": "base", "notes": [], "summary": []}))
    rows = []
    for of, side in (("run", 0), ("baseline", 1)):
        for i, pair in enumerate(texts):
            row = {"of": of, "group": f"p{i}", "prompt": f"say {i}", "completion": pair[side], "finished": True}
            rows.append({**row, **{name: values[i] for name, values in columns.items() if of == "run"}})
    (run.evaluations / "puns.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


def no_catalog() -> Any:
    raise AssertionError("nothing is to be sampled")


def session(
    run: RunFolder, store: SQLiteLabels, rater: str = "ana", *, items: int = 50, shared: int = 20, repeats: int = 0
) -> Session:
    chosen = label_set(run, Request(), store, tell=lambda _: None, catalog=no_catalog)
    return open_session(store, chosen, rater, items=items, shared=shared, repeats=repeats)


@contextmanager
def served(asking: Any) -> Iterator[LabelPage]:
    with LabelPage(asking) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)
