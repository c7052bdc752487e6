"""Input files by name: one place that says where they are, and messages that say where to get them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.contract.errors import Problems, RLHFError
from rlhf_core.recipe.choosing import Wish, choose
from rlhf_core.recipe.written.files import require, told_apart, with_given
from rlhf_core.recipe.written.resolve import read, resolve
from rlhf_core.recipe.written.resolved import Recipe
from rlhf_core.recipe.written.settings import with_settings
from rlhf_core.registry.catalog import Catalog

RECIPE = """\
name: test
files:
  rows: {path: rows.jsonl, source: example.org/rows}
  puns: puns.json
data: {sources: [{path: "file:rows"}]}
stages:
  - algo: sft
  - algo: dpo
    data:
      sources: [{source: published-puns, file: "file:puns", view: pairs}]
      validation: {sources: [{path: "file:rows", split: "file://host/rows"}]}
evaluate:
  data: {sources: [{path: "file:rows"}]}
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load(third_party=False)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "recipes" / "test.yaml"
    path.write_text(RECIPE)
    return path


def resolved(path: Path, catalog: Catalog, *data: str) -> Recipe:
    return resolve(with_given(read([str(path)]), *told_apart(data)), catalog)


def paths(recipe: Recipe) -> list[str]:
    sft, dpo = (stage.options.data for stage in recipe.stages)
    assert dpo.validation is not None
    assert recipe.evaluate is not None
    assert recipe.evaluate.options.data is not None
    sources = [*sft.sources, *dpo.validation.sources, *recipe.evaluate.options.data.sources]
    return [str(dpo.sources[0].extra["file"]), *(str(source.path) for source in sources)]


def test_a_named_file_stands_for_its_path_wherever_one_belongs(recipe: Path, catalog: Catalog, tmp_path: Path) -> None:
    found = resolved(recipe, catalog)
    rows = str(tmp_path / "rows.jsonl")
    assert paths(found) == [str(tmp_path / "puns.json"), rows, rows, rows]
    assert found.stage("dpo").options.data.validation.sources[0].split == "file://host/rows"  # type: ignore[union-attr]
    assert "file:rows" not in str(found.plain())


def test_it_lies_beside_the_recipe_or_else_in_the_working_folder(
    recipe: Path, catalog: Catalog, tmp_path: Path
) -> None:
    (recipe.parent / "puns.json").write_text("[]")
    found = resolved(recipe, catalog)
    assert paths(found)[:2] == [str(recipe.parent / "puns.json"), str(tmp_path / "rows.jsonl")]


def test_data_on_the_command_line_names_another_file(recipe: Path, catalog: Catalog) -> None:
    found = resolved(recipe, catalog, "rows=../other.jsonl", "puns=/elsewhere/p.json")
    other = str(Path.cwd() / "../other.jsonl")
    assert paths(found) == ["/elsewhere/p.json", other, other, other]


def test_a_stage_knows_the_files_it_reads(recipe: Path, catalog: Catalog) -> None:
    found = resolved(recipe, catalog)
    assert [[file.name for file in stage.files] for stage in found.stages] == [["rows"], ["rows", "puns"]]
    assert found.evaluate is not None
    assert [file.name for file in found.evaluate.files] == ["rows"]


def test_a_missing_file_is_told_with_its_place_its_source_and_the_flag(
    recipe: Path, catalog: Catalog, tmp_path: Path
) -> None:
    with pytest.raises(Problems) as caught:
        require(resolved(recipe, catalog).stage("dpo").files)
    assert caught.value.problems == (
        f"{recipe}:3:10: rows: no such file: {tmp_path}/rows.jsonl; take it from example.org/rows; "
        "name yours by --data rows=PATH",
        f"{recipe}:4:3: puns: no such file: {tmp_path}/puns.json; name yours by --data puns=PATH",
    )
    with pytest.raises(Problems) as given:
        require(resolved(recipe, catalog, "rows=gone.jsonl").stage("sft").files)
    assert given.value.problems == (f"--data rows: no such file: {tmp_path}/gone.jsonl; take it from example.org/rows",)
    (tmp_path / "rows.jsonl").write_text("{}\n")
    require(resolved(recipe, catalog).stage("sft").files)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("other.jsonl", "--data other.jsonl: which of its files? it reads rows, puns, such as --data rows=other.jsonl"),
        ("rwos=x.jsonl", "--data rwos=x.jsonl: the recipe reads no file of that name; did you mean 'rows'?"),
    ],
)
def test_data_that_fits_no_file_is_refused(recipe: Path, catalog: Catalog, data: str, message: str) -> None:
    with pytest.raises(Problems) as caught:
        resolved(recipe, catalog, data)
    assert message in str(caught.value)


def test_a_path_without_a_name_is_the_only_file(recipe: Path, catalog: Catalog, tmp_path: Path) -> None:
    recipe.write_text(
        "name: test\nfiles: {rows: rows.jsonl}\nstages: [{algo: sft, data: {sources: [{path: 'file:rows'}]}}]\n"
    )
    (tmp_path / "a=b.jsonl").write_text("{}\n")
    for data in ("mine.jsonl", "a=b.jsonl"):
        assert resolved(recipe, catalog, data).stages[0].options.data.sources[0].path == str(tmp_path / data)
    with pytest.raises(Problems, match="the recipe reads one file, rows; name one"):
        resolved(recipe, catalog, "mine.jsonl", "yours.jsonl")
    with pytest.raises(Problems, match="the recipe has no named files"):
        resolve(with_given(read(["quickstart"]), *told_apart(["mine.jsonl"])), catalog)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"file:rows"}]}\nstages', '"file:rosw"}]}\nstages',
         "test.yaml:5:19: file:rosw: no such name in files; did you mean 'rows'?; there are rows, puns"),
        ("source: example.org/rows", "sorce: x", "test.yaml:3:28: files.rows.sorce = 'x': unknown option"),
        ("puns: puns.json", "p uns: puns.json", "a file's name is of letters, digits, - and _; found 'p uns'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_names_is_told_with_its_place(
    recipe: Path, catalog: Catalog, old: str, new: str, message: str
) -> None:
    assert old in RECIPE
    recipe.write_text(RECIPE.replace(old, new))
    with pytest.raises(RLHFError) as caught:
        resolved(recipe, catalog)
    assert message in str(caught.value)


def test_an_upper_recipe_names_its_own_file_and_settings_may_refer_to_it(recipe: Path, catalog: Catalog) -> None:
    small = recipe.parent / "small.yaml"
    small.write_text("extends: test.yaml\nname: small\nfiles: {rows: few.jsonl, more: more.jsonl}\n")
    tree = with_settings(read([str(small)]), ["data.sources.0.path=file:more"])
    found = resolve(tree, catalog)
    assert [Path(path).name for path in paths(found)] == ["puns.json", "more.jsonl", "few.jsonl", "few.jsonl"]


def test_train_takes_named_files_beside_its_own_data(recipe: Path, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text("{}\n")
    named = choose(Wish(configs=(str(recipe),), algo="sft", files={"rows": "mine.jsonl"}), catalog)
    assert named.recipe.stage("sft").options.data.sources[0].path == str(tmp_path / "mine.jsonl")
    own = choose(Wish(configs=(str(recipe),), algo="sft", data="own.jsonl"), catalog)
    assert own.recipe.stage("sft").options.data.sources[0].path == str(tmp_path / "own.jsonl")
    assert own.recipe.stage("sft").files == ()
