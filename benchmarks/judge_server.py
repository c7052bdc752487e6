"""The judge at a real server that ignores `response_format`: `transformers serve` on a tiny random Llama.

pip install 'transformers[serving]'
python benchmarks/judge_server.py
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from transformers import LlamaConfig, LlamaForCausalLM

from rlhf_core.contract.judge import Grade
from rlhf_core.contract.replies import KeptInMemory
from rlhf_core.registry.catalog import Catalog
from rlhf_core.testing import byte_tokenizer, completions, judge_context

SECONDS = 120


def save_model(folder: Path) -> None:
    """One layer over bytes, with a template that lays the messages under each other."""
    tokenizer = byte_tokenizer(8192)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=8192, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


def wait(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{url}/health").close()
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"transformers serve did not come up in {SECONDS} s; is transformers[serving] installed?")


def grades(url: str, model: str, store: KeptInMemory) -> list[Grade]:
    options = {"base_url": f"{url}/v1", "model": model, "max_reply_tokens": 40}
    judge = Catalog.load().find("judge", "chatgpt").build(options)
    judge.prepare(judge_context(replies=store, tell=print))
    return list(judge.grade(completions()[:3]))


def main() -> None:
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        save_model(Path(folder))
        command = [str(Path(sys.executable).with_name("transformers")), "serve", folder, "--port", str(port)]
        server = subprocess.Popen([*command, "--device", "cpu"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url, store = f"http://localhost:{port}", KeptInMemory()
            wait(url, server)
            found = grades(url, folder, store)
        finally:
            server.terminate()
            server.wait()
    formats = [str(dict(call.request).get("response_format", "text"))[:24] for call in store.calls]
    print("asked for:", *formats, sep="\n  ")
    print("outcomes:", *(grade.outcome for grade in found))
    if any(grade.outcome == "valid" for grade in found) or formats[-1] != "text":
        raise SystemExit("random weights gave a verdict, or the ladder was not gone down")


if __name__ == "__main__":
    main()
