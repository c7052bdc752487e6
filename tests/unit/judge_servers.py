"""Servers for the tests of the judge: one of our own that fails as told, and real llama.cpp on made-up weights."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Request = dict[str, Any]


@dataclass
class Response:
    """What the server sends. ``cut`` announces more than it sends; ``reset`` closes without a word."""

    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    reset: bool = False
    wait: float = 0.0


def reply(content: Any, *, finish: str = "stop", refusal: str | None = None) -> Response:
    """A chat completion with that content (JSON of anything but a string), 10 prompt and 3 completion tokens."""
    text = content if isinstance(content, str) else json.dumps(content)
    message = {"role": "assistant", "content": text, "refusal": refusal}
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return Response(json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}))


def failure(status: int, message: str = "no", code: str | None = None, param: str | None = None) -> Response:
    error = {"message": message, "type": code or "error", "code": code, "param": param}
    return Response(json.dumps({"error": error}), status, {"Retry-After": "0"})


class ScriptedServer(ThreadingHTTPServer):
    """Answers request number i with ``script(request, i)`` and keeps every request, key and header it was sent.

    ``tickets``: whether ``TICKET`` in a reply becomes the question's own, as a judge that reads the question writes it.
    """

    daemon_threads = True

    request_queue_size = 64

    def __init__(self, script: Callable[[Request, int], Response], *, tickets: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.tickets = tickets
        self.requests: list[Request] = []
        self.keys: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: object) -> None:
        """A client that gave up is part of the tests."""


def with_ticket(response: Response, request: Request) -> Response:
    """The response with ``TICKET`` replaced by the one that the question asked for, as a judge that reads it would."""
    asked = re.search(r'"ticket": "(\w+)"', request["messages"][0]["content"])
    return replace(response, body=response.body.replace("TICKET", asked.group(1))) if asked else response


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(request)
            self.server.keys.append(self.headers["Authorization"])
            self.server.headers.append(self.headers)
        response = self.server.script(request, number)
        if self.server.tickets:
            response = with_ticket(response, request)
        threading.Event().wait(response.wait)
        self.close_connection = response.cut or response.reset
        if response.reset:
            return
        body = response.body.encode()
        self.send_response(response.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body) + 50 * response.cut)}
        for name, value in {**headers, **response.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def serving(script: Callable[[Request, int], Response], *, tickets: bool = True) -> Iterator[ScriptedServer]:
    server = ScriptedServer(script, tickets=tickets)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def write_gguf(path: Path, favourites: str) -> None:
    """A one-layer Llama over bytes, whatever it reads, that likes the characters of ``favourites`` in this order and
    white space least: under a grammar it writes the first of them that is allowed."""
    import numpy as np
    from gguf import GGUFWriter

    characters = _byte_characters()
    tokens = [*characters, "he", "<|endoftext|>"]
    size, width, feed = len(tokens), 32, 64
    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(feed)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 2)
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (size - 1) + [3])
    writer.add_token_merges(["h e"])
    writer.add_bos_token_id(size - 1)
    writer.add_eos_token_id(size - 1)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}\n{% endfor %}")

    output = np.zeros((size, width), np.float32)
    for rank, character in enumerate(favourites):
        output[characters.index(character)] = (len(favourites) - rank) * 0.1
    for byte in (9, 10, 13, 32):
        output[byte] = -1.0
    shapes = {"attn_q": (width, width), "attn_k": (width, width), "attn_v": (width, width),
              "attn_output": (width, width), "ffn_gate": (feed, width), "ffn_up": (feed, width),
              "ffn_down": (width, feed)}  # fmt: skip
    # Blocks of zeros leave the embedding as it is: all ones, the same at every position.
    writer.add_tensor("token_embd.weight", np.ones((size, width), np.float32))
    writer.add_tensor("output.weight", output)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    for name, shape in shapes.items():
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _byte_characters() -> list[str]:
    """The printable stand-in of each byte, as GPT-2's byte-level vocabulary has it."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    rest = iter(range(256, 512))
    return [chr(byte if byte in printable else next(rest)) for byte in range(256)]
