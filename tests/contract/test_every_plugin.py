"""The public kit over every component that is registered, and the packaging that registers them."""

from __future__ import annotations

import configparser
import importlib.metadata
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from rlhf_core.contract.components import ENTRY_POINT_GROUP
from rlhf_core.contract.reward import Completion
from rlhf_core.registry.catalog import Catalog, Found
from rlhf_core.testing import check_component, check_plugin, completions

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"

CATALOG = Catalog.load(strict=True, seconds=120)
COMPONENTS = [found for found in CATALOG.rows() if found.plugin.first_party]


def label(found: Found) -> str:
    return f"{found.component.kind}:{found.component.name}"


class OpenAIServer(BaseHTTPRequestHandler):
    """Any server behind which a judge asks: every grade is 4, the first completion always wins."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        schema = request["response_format"]["json_schema"]["schema"]
        answers = {"reason": "because", "winner": "A"}
        content = json.dumps({field: answers.get(field, 4) for field in schema["properties"]})
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        body = json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": None}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def openai_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), OpenAIServer)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def published(*parts: str) -> str:
    file = SHARED.joinpath(*parts)
    if not file.is_file():
        pytest.skip(f"{file.name} is not beside the project")
    return str(file)


def write_labels(folder: Path) -> str:
    lines = [json.dumps({"sample": f"O day {i}!", "sentiment": "happy" if i % 2 else "sad"}) for i in range(60)]
    (folder / "labels.jsonl").write_text("\n".join(lines), "utf-8")
    return str(folder / "labels.jsonl")


ALL_SPLITS = ("train", "validation", "test")
PUN_SPLITS = (*ALL_SPLITS, "development", "test_hard")

PUNS = [
    Completion(prompt="p", text=text, record={"pun_word": "hare", "plays_on": other})
    for text in ("Its hare was far too long.", "hare, hare", "", "no such word")
    for other in ("hair", "rabbit")
]

Variant = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Options of a component, and further arguments of the check of its kind."""

VARIANTS: Mapping[str, Callable[[Path], list[Variant]]] = {
    "trainer:dpo": lambda _: [({"label_smoothing": 0.1}, {}), ({"loss": "ipo", "length_normalised": True}, {})],
    "trainer:ppo": lambda _: [
        ({"value_model": "separate", "kl_target": 3.0, "step_kl_limit": 1e-3, "entropy_coef": 0.01}, {}),
        ({"score_normalisation": "center-and-scale", "score_clip": 2.0, "kl_estimator": "k3"}, {}),
    ],
    "trainer:reward": lambda _: [({"learn": "classes"}, {})],
    "reward:python": lambda _: [({"function": len_of_both, "takes": "text"}, {})],
    "reward:judge": lambda _: [({"judge": "length"}, {})],
    "reward:weighted-sum": lambda _: [({"parts": [{"reward": "length", "weight": 0.5}]}, {})],
    "reward:reward-model": lambda _: [({"run": "runs/reward", "output": form}, {}) for form in ("logit", "logprob")],
    "judge:human": lambda _: [({"raters": ["ana"]}, {})],
    "judge:reward-model": lambda _: [({"run": "runs/reward", "margin": 0.1}, {})],
    "evaluator:bleu": lambda _: [({"reference": "prompt"}, {}), ({"reference": "prompt", "tokenize": "char"}, {})],
    "evaluator:chrf": lambda _: [({"reference": "prompt"}, {}), ({"reference": "prompt", "word_order": 2}, {})],
    "evaluator:memorisation": lambda _: [({"order": 1}, {})],
    "evaluator:pun-statistics": lambda _: [({"model": "runs/other", "window": 1}, {"samples": PUNS})],
    "evaluator:reward-model": lambda _: [({"run": "runs/reward"}, {})],
    "evaluator:perplexity": lambda _: [({"model": "runs/other"}, {})],
    "evaluator:rouge": lambda _: [({"reference": "prompt"}, {}), ({"reference": "prompt", "stemmer": True}, {})],
    "evaluator:self-bleu": lambda _: [({"among": "prompt", "tokenize": "char"}, {})],
    "evaluator:text": lambda _: [({"vocabulary": False}, {})],
    "dataset:puns": lambda _: [
        *(({"view": view}, {"splits": PUN_SPLITS}) for view in ("pairs", "demonstrations", "prompts")),
        ({"view": "corpus"}, {"splits": ("train", "validation")}),
    ],
    "dataset:published-puns": lambda _: [
        ({"file": published("puns_jacksonpaull", "Pun_Dataset.json"), "view": view}, {"splits": ALL_SPLITS})
        for view in ("pairs", "demonstrations", "prompts")
    ],
    "dataset:shakespeare-sentiment": lambda folder: [
        ({"file": write_labels(folder)}, {"splits": ("reward", "judge", "validation")})
    ],
    "dataset:ranked-stories": lambda _: [
        ({"file": str(ROOT / "res/writing_prompts/stories.jsonl"), "view": view}, {"splits": ALL_SPLITS})
        for view in ("pairs", "demonstrations", "prompts")
    ],
    "backbone:lora-gpt2": lambda _: [({"lora": None}, {})],
    "backbone:hf": lambda _: [({"lora": {"r": 2, "targets": ["c_attn"]}}, {})],
}


def len_of_both(prompt: str, completion: str) -> float:
    return float(len(prompt) + len(completion))


def needs_no_options(found: Found) -> bool:
    return not any(field.is_required() for field in found.options_class().model_fields.values())


@pytest.mark.parametrize("found", COMPONENTS, ids=label)
def test_it_passes_the_check_of_its_kind(found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if absent := found.missing_extras():
        pytest.skip(f"{', '.join(absent)} is not installed")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    if label(found) == "judge:chatgpt":
        with openai_server() as url:
            check_component(found.component, options={"base_url": url})
        return
    variants = VARIANTS[label(found)](tmp_path) if label(found) in VARIANTS else []
    if needs_no_options(found):
        variants = [({}, {}), *variants]
    assert variants, f"{label(found)} has required options: say in VARIANTS which to try"
    for options, given in variants:
        check_component(found.component, options=options, **given)


def test_variants_are_of_components_that_there_are() -> None:
    assert set(VARIANTS) <= {label(found) for found in COMPONENTS}


@pytest.mark.parametrize("module", sorted({plugin.module.__name__ for plugin in CATALOG.plugins if plugin.first_party}))
def test_its_module_is_light_and_well_declared(module: str) -> None:
    check_plugin(module)


def test_completions_of_the_kit_are_what_metrics_stumble_over() -> None:
    texts = [completion.text for completion in completions()]
    assert "" in texts
    assert any(not text.isascii() for text in texts)
    assert {completion.finished for completion in completions()} == {True, False}
    assert len({completion.group for completion in completions()}) == 3


# What setup.cfg says, against the tree


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def plugin_folders() -> set[str]:
    folders = (ROOT / "plugins" / "rlhf_plugins").iterdir()
    return {folder.name for folder in folders if (folder / "__init__.py").is_file()}


def test_entry_points_are_the_plugin_folders(setup_cfg: configparser.ConfigParser) -> None:
    lines = setup_cfg["options.entry_points"][ENTRY_POINT_GROUP].strip().splitlines()
    points = {name.strip(): target.strip() for name, _, target in (line.partition("=") for line in lines)}
    assert points == {name.replace("_", "-"): f"rlhf_plugins.{name}" for name in plugin_folders()}


def test_the_package_list_is_the_tree(setup_cfg: configparser.ConfigParser) -> None:
    """``find:`` sees the first root alone, so packages are listed by hand; a forgotten one is not installed."""
    roots = {"src/rlhf_core": "rlhf_core", "plugins/rlhf_plugins": "rlhf_plugins", "configs": "rlhf_core.configs",
             "res": "rlhf_core.res"}  # fmt: skip
    there = {
        ".".join((package, *init.parent.relative_to(ROOT / root).parts))
        for root, package in roots.items()
        for init in (ROOT / root).rglob("__init__.py")
    }
    listed = setup_cfg["options"]["packages"].split()
    assert sorted(listed) == sorted(there)


def test_the_installed_entry_points_are_those_of_setup_cfg(setup_cfg: configparser.ConfigParser) -> None:
    """An editable install keeps the entry points of the day it was made: `pip install -e .` anew brings them."""
    listed = {line.split("=")[0].strip() for line in
              setup_cfg["options.entry_points"][ENTRY_POINT_GROUP].strip().splitlines()}  # fmt: skip
    installed = importlib.metadata.distribution("rlhf_core").entry_points
    assert {point.name for point in installed if point.group == ENTRY_POINT_GROUP} == listed
