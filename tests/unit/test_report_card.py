"""The card says what the run knows, in Markdown that holds whatever people wrote."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from report_parts import ALARM, EVALUATION, METRICS, stage
from ruamel.yaml import YAML

from rlhf_core.recipe.pages.carding import CARD, card_of, write_card
from rlhf_core.report.card import MARKER, CardContent, fenced, line, render_card
from rlhf_core.store.run import RunFolder


def front_matter(card: str) -> dict[str, Any]:
    _, head, _ = card.split("---\n", 2)
    found: dict[str, Any] = YAML(typ="safe").load(io.StringIO(head))
    return found


def test_the_card_has_tables_with_intervals_alarms_provenance_and_recipe() -> None:
    card = render_card(CardContent(stage=stage(), evaluations=[EVALUATION], license="mit", hub_base="gpt2"))
    assert front_matter(card) == {
        "license": "mit", "base_model": "gpt2", "library_name": "peft", "pipeline_tag": "text-generation",
        "tags": ["rlhf", "ppo"],
    }  # fmt: skip
    assert "| puns/pun | 0.42 | 0.3 … 0.5 | 80 | 0.22 | 0.1 … 0.3 | real: better |\n" in card
    assert "| loss | 0.7 | 0.6 |" in card
    assert f"- Step 2: **{ALARM['says']}**." in card
    assert "| base sha256 | b0b |" in card
    assert "```yaml\nseed: 0\n```" in card


def test_a_card_without_measurements_or_licence_says_so() -> None:
    card = render_card(CardContent(stage=stage(alarms=[]), merged=True))
    assert "No evaluation yet" in card
    assert "None was raised." in card
    assert "Nobody has said under which licence" in card
    assert front_matter(card)["library_name"] == "transformers"
    assert "base_model" not in front_matter(card)


def test_what_people_wrote_stays_in_its_cell_and_its_block() -> None:
    assert line("a|b\n<script> `c` [d](e)") == r"a\|b \<script\> \`c\` \[d\](e)"
    assert fenced("x: ```` y", "yaml") == "`````yaml\nx: ```` y\n`````"
    hostile = '"\n---\n<script>'
    card = render_card(CardContent(stage=stage(hostile, algo=hostile), license=hostile))
    assert front_matter(card)["license"] == hostile
    assert front_matter(card)["tags"] == ["rlhf", hostile]


def run_with_model(folder: Path) -> RunFolder:
    run = RunFolder.create(folder, info={"algo": "dpo", "base": {"path": "/home/me/tiny", "sha256": "abc"},
                                         "platform": "my-machine"})  # fmt: skip
    for row in METRICS:
        run.append_metrics(row)
    run.finish(lambda model: (model / "adapter_config.json").touch())
    return run


def test_a_card_travels_without_what_only_this_machine_knows(tmp_path: Path) -> None:
    run = run_with_model(tmp_path / "dpo")
    card = card_of(run, run.model)
    assert "| base | tiny |" in card
    assert "| base sha256 | abc |" in card
    assert "AutoPeftModelForCausalLM" in card
    assert "/home/me" not in card
    assert "my-machine" not in card


def test_a_readme_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    run = run_with_model(tmp_path / "dpo")
    write_card(run)
    assert MARKER in (run.model / CARD).read_text()
    run.append_metrics({**METRICS[3], "step": 9, "loss": 0.125})
    write_card(run)
    assert "0.125" in (run.model / CARD).read_text()
    (run.model / CARD).write_text("mine")
    write_card(run)
    assert (run.model / CARD).read_text() == "mine"
