"""What lies in examples/ works as it stands."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from published_plugins import installed, read_pyproject

from rlhf_core.contract.records import PromptRecord
from rlhf_core.contract.reward import Completion
from rlhf_core.contract.rows import Row, Totals
from rlhf_core.registry.catalog import Catalog
from rlhf_core.testing import check_component

EXAMPLES = Path(__file__).parents[2] / "examples"
ACME = EXAMPLES / "acme_rlhf"


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Catalog]:
    with installed(read_pyproject((ACME / "pyproject.toml").read_text("utf-8")), ACME, tmp_path):
        yield Catalog.load(strict=True, seconds=120)


def module_of(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("function", ["score", "score_all"])
def test_a_function_is_a_reward(function: str) -> None:
    python = Catalog.load(third_party=False).find("reward", "python")
    check_component(python.component, options={"function": f"{EXAMPLES / 'my_reward.py'}:{function}"})


def test_the_functions_score_as_they_say() -> None:
    rewards = module_of(EXAMPLES / "my_reward.py")
    assert rewards.score("a line", "one two three four five six seven eight") == 0.0
    assert rewards.score("a line", "Line one") == 1.0 - 6.0
    five = Completion(prompt="a line", text="one two three", record={"words": 5})
    assert rewards.score_all([five]) == [-2.0]


def test_the_package_is_found_beside_ours_by_its_entry_point(acme: Catalog) -> None:
    assert acme.find("trainer", "grpo").qualified == "acme-rlhf/grpo"
    assert acme.find("reward", "acme-rlhf/variety").plugin.version == "0.1.0"


@pytest.mark.usefixtures("acme")
def test_the_packages_own_tests_pass() -> None:
    module_of(ACME / "tests" / "test_acme.py").test_the_plugin_keeps_the_contract()


def test_its_reward_is_the_share_of_different_words(acme: Catalog) -> None:
    variety = acme.find("reward", "variety").build({"min_words": 2})
    texts = ("one two", "one one one two", "one")
    assert variety.score([Completion(prompt="", text=text) for text in texts]) == [1.0, 0.5, 0.0]


def test_grpo_advantages_are_standardised_within_their_group(acme: Catalog) -> None:
    """Scores 1, 2, 3 in a group have mean 2 and sample standard deviation 1; the other group, all equal, has none."""
    from rlhf_core.contract.policy import SamplingSpec
    from rlhf_core.contract.reward import Reward
    from rlhf_core.testing import records, rows, tiny_policy
    from rlhf_core.training.context import build_context
    from rlhf_core.training.world import World

    class Counting(Reward):
        def score(self, completions: list[Completion]) -> list[float]:
            return [1.0, 2.0, 3.0, 5.0, 5.0, 5.0]

    policy = tiny_policy()
    trainer = acme.find("trainer", "grpo").build({"group_size": 3})
    context = build_context(
        policy, sampling=SamplingSpec(max_new_tokens=4), reward=Counting(),
        records={record.id: record for record in records(PromptRecord)}, labels=(), world=World.current(),
    )  # fmt: skip
    trainer.prepare(context)
    with torch.no_grad():
        first, second = trainer.collect(rows(PromptRecord, policy.codec)[:2], seed=1)
        assert torch.allclose(first.advantages, torch.tensor([-1.0, 0.0, 1.0]), atol=1e-3)
        assert second.advantages.tolist() == [0.0, 0.0, 0.0]
        # At the start ratio = 1 and KL = 0, so the loss is minus the mean advantage: zero.
        loss = trainer.loss([first, second], Totals(rows=2, completions=6, tokens=24))
    assert float(loss.total) == pytest.approx(0.0, abs=1e-5)
    assert float(loss.metrics["ratio"]) == pytest.approx(1.0, abs=1e-4)
    assert isinstance(first, Row)
