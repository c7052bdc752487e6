"""The puns that Jackson Paull published, beside plain answers written here."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_core.contract.components import Component, hookimpl


@hookimpl
def rlhf_components() -> Iterable[Component]:
    yield Component(
        kind="dataset",
        name="published-puns",
        summary="Pun_Dataset.json of github.com/JacksonPaull/RLHF (114 records, MIT) against plain answers of our own",
        target="rlhf_plugins.published_puns.dataset:PublishedPuns",
        options="rlhf_plugins.published_puns.options:PublishedPunsOptions",
    )
