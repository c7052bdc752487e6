"""Every recipe that is installed resolves, with every component it names."""

from __future__ import annotations

import pytest

from rlhf_core.recipe.locate import recipe_names, recipe_path
from rlhf_core.recipe.resolve import read, resolve
from rlhf_core.registry.catalog import Catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipe_is_valid(name: str, catalog: Catalog) -> None:
    recipe = resolve(read([name]), catalog)
    assert recipe.name == name
    assert recipe.stages


@pytest.mark.parametrize("name", recipe_names())
def test_the_recipe_names_no_place_on_a_machine(name: str) -> None:
    text = recipe_path(name).read_text("utf-8")
    assert not [word for word in ("/home/", "/root/", "/work/", "/tmp/", "C:\\") if word in text]
