"""Plugins of strangers: found beside ours, and unable to take the others down."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from distributions import declaring, install

from rlhf_core.contract.errors import MissingComponent, Problems
from rlhf_core.registry.catalog import Catalog
from rlhf_core.registry.discovery import Plugin, discover

_unique = itertools.count()


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Plugin]]:
    """Installs a distribution ``acme-rlhf`` with one plugin ``acme`` of the given source, and loads all plugins."""

    def load(source: str, *, distribution: str = "acme-rlhf", requires: str = "", **options: object) -> list[Plugin]:
        module = f"acme_{next(_unique)}"
        install(tmp_path / module, distribution, {module: source}, {"acme": module}, requires)
        monkeypatch.syspath_prepend(str(tmp_path / module))
        return discover(**options)  # type: ignore[arg-type]

    return load


def acme(plugins: list[Plugin]) -> Plugin:
    return next(plugin for plugin in plugins if plugin.name == "acme")


def test_ours_come_first_and_a_stranger_is_found_through_the_same_group(stranger) -> None:
    plugins = stranger(declaring('kind="reward", name="loud", summary="Counts capitals", target="acme:Loud"'))
    assert [plugin.distribution for plugin in plugins] == ["rlhf-core"] * (len(plugins) - 1) + ["acme-rlhf"]
    found = acme(plugins)
    assert (found.status, found.version, found.qualified) == ("ok", "1.2", "acme-rlhf/acme")
    assert found.components[0].name == "loud"


@pytest.mark.parametrize(
    ("source", "reason", "fix"),
    [
        ("import nowhere_to_be_found", "needs the package 'nowhere_to_be_found'", "pip install nowhere_to_be_found"),
        ("import sys; sys.exit(3)", "called sys.exit(3) at import", "author"),
        ("raise RuntimeError('bad day')", "RuntimeError: bad day", "author"),
        ("x = (", "SyntaxError", "author"),
        ("", "declares no hook", "rlhf_components"),
        (
            "from rlhf_core.contract.components import hookimpl\n@hookimpl\ndef rlhf_componets(): return []",
            "rlhf_componets",
            "the hooks are rlhf_components",
        ),
        (
            "from rlhf_core.contract.components import hookimpl\n@hookimpl\ndef rlhf_components(everything): return []",
            "everything",
            "the hooks are",
        ),
        (declaring('kind="reward", name="x", summary="", target="a:b", api=99'), "version 99", "newer rlhf_core"),
        (declaring('kind="reward", name="Loud", summary="", target="a:b"'), "lower-case", "author"),
        (declaring('kind="rewrad", name="x", summary="", target="a:b"'), "'rewrad' is none of", "author"),
        (
            "from rlhf_core.contract.components import hookimpl\n@hookimpl\ndef rlhf_components(): return ['loud']",
            "gave a str",
            "Component records",
        ),
        (
            declaring(*['kind="reward", name="twice", summary="", target="a:b"'] * 2),
            "reward:twice is offered by plugin 'acme'",
            "another name",
        ),
    ],
)
def test_a_broken_plugin_becomes_a_row_with_reason_and_fix(stranger, source: str, reason: str, fix: str) -> None:
    plugins = stranger(source)
    broken = acme(plugins)
    assert broken.status == "failed"
    assert reason in broken.reason
    assert fix in broken.fix
    assert broken.components == ()
    assert all(plugin.status == "ok" for plugin in plugins if plugin.first_party)


def test_a_plugin_that_hangs_at_import_is_left_behind(stranger) -> None:
    began = time.monotonic()
    broken = acme(stranger("import time; time.sleep(60)", seconds=0.5))
    assert time.monotonic() - began < 20
    assert broken.status == "failed"
    assert "within 0.5 s" in broken.reason


def test_a_switched_off_plugin_is_listed_and_never_imported(stranger) -> None:
    for name in ("acme", "acme-rlhf/acme"):
        plugins = stranger("raise RuntimeError('imported')", off=[name])
        assert acme(plugins).status == "off"
    assert acme(stranger("raise RuntimeError('imported')", third_party=False)).status == "off"


def test_strict_raises_at_the_first_broken_plugin(stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLHF_STRICT_PLUGINS", "1")
    with pytest.raises(MissingComponent, match="acme-rlhf/acme is broken: RuntimeError: bad day"):
        stranger("raise RuntimeError('bad day')")


def test_equal_names_of_two_packages_are_told_apart_by_their_package(stranger) -> None:
    catalog = Catalog(stranger(declaring('kind="trainer", name="dpo", summary="Another", target="acme:DPO"')))
    with pytest.raises(MissingComponent, match="offered by 2 plugins: say rlhf-core/dpo or acme-rlhf/dpo"):
        catalog.find("trainer", "dpo")
    assert catalog.find("trainer", "acme-rlhf/dpo").component.summary == "Another"
    assert catalog.find("trainer", "rlhf-core/dpo").plugin.first_party
    assert "acme-rlhf/dpo" in catalog.names("trainer")
    assert "sft" in catalog.names("trainer")


def test_an_unknown_name_gets_a_near_one_and_the_list() -> None:
    catalog = Catalog.load(third_party=False)
    with pytest.raises(MissingComponent, match=r"no trainer 'dop'; did you mean 'dpo'\?; there are dpo, ppo"):
        catalog.find("trainer", "dop")
    assert MissingComponent.exit_code == 3


def test_asking_for_a_broken_plugin_tells_why_it_is_broken(stranger) -> None:
    catalog = Catalog(stranger("raise RuntimeError('bad day')"))
    with pytest.raises(MissingComponent, match="plugin acme-rlhf/acme is failed: RuntimeError: bad day"):
        catalog.find("reward", "acme")


def test_options_are_validated_before_the_component_is_built() -> None:
    catalog = Catalog.load(third_party=False)
    with pytest.raises(Problems) as caught:
        catalog.find("trainer", "dpo").build({"betta": 0.2, "label_smoothing": "much"})
    assert "trainer dpo: betta = 0.2: unknown option of dpo; did you mean 'beta'?" in caught.value.problems
    assert any("label_smoothing = 'much': must be a valid number" in problem for problem in caught.value.problems)


def test_a_missing_extra_is_told_with_the_command_that_installs_it(stranger) -> None:
    source = declaring('kind="tracker", name="far", summary="", target="acme:T", extras=("not_installed_here",)')
    requires = 'Provides-Extra: far\nRequires-Dist: not_installed_here>=1; extra == "far"\n'
    found = Catalog(stranger(source, requires=requires)).find("tracker", "far")
    assert found.missing_extras() == ["not_installed_here"]
    with pytest.raises(MissingComponent, match=r"pip install 'acme-rlhf\[far\]'"):
        found.build({})


def test_a_target_that_fails_to_import_names_plugin_and_cause(stranger) -> None:
    found = Catalog(stranger(declaring('kind="reward", name="gone", summary="", target="no_such_module_x:R"'))).find(
        "reward", "gone"
    )
    with pytest.raises(MissingComponent, match="acme-rlhf/gone: cannot import no_such_module_x:R: ModuleNotFoundError"):
        found.build({})


def test_discovery_imports_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys; from rlhf_core.registry.catalog import Catalog; Catalog.load(third_party=False);"
        "print([m for m in ('torch', 'transformers', 'pydantic', 'rich', 'ruamel') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
