"""Every recipe that is installed resolves, with every component it names."""

from __future__ import annotations

import pytest

from rlhf_core.contract.errors import MissingComponent
from rlhf_core.recipe.written.locate import recipe_names, recipe_path
from rlhf_core.recipe.written.resolve import read, resolve
from rlhf_core.recipe.written.sections import require_installed
from rlhf_core.registry.catalog import Catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipe_is_valid(name: str, catalog: Catalog) -> None:
    recipe = resolve(read([name]), catalog)
    assert recipe.name == name
    assert recipe.stages


def test_what_the_evaluation_needs_and_is_not_installed_is_told_with_the_extra_that_brings_it(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = resolve(read(["instruct-small"]), catalog).evaluate
    assert evaluate is not None
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    require_installed(evaluate.evaluators["text"])
    with pytest.raises(MissingComponent, match=r"evaluator 'bleu' needs sacrebleu.*pip install 'rlhf.core\[bleu\]'"):
        require_installed(*evaluate.evaluators.values())


def test_the_small_sizes_have_the_stages_of_what_they_extend(catalog: Catalog) -> None:
    small = [name for name in recipe_names() if name.endswith("-small")]
    assert {"instruct-small", "shakespeare-small", "writing_prompts-small"} <= set(small)
    for name in small:
        full = resolve(read([name.removesuffix("-small")]), catalog)
        few = resolve(read([name]), catalog)
        assert [(one.name, one.trainer.name, one.options.from_) for one in few.stages] == [
            (one.name, one.trainer.name, one.options.from_) for one in full.stages
        ]


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipe_names_no_place_on_a_machine(name: str) -> None:
    text = recipe_path(name).read_text("utf-8")
    assert not [word for word in ("/home/", "/root/", "/work/", "/tmp/", "C:\\") if word in text]
