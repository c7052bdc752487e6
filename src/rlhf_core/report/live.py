"""A page that follows a run, served to this machine alone.

Only the loopback address is bound, and a request that names another host is refused: a page of some site that the
reader has open could otherwise reach the run through a name that resolves to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADDRESS = "127.0.0.1"

Render = Callable[[], str]


class LivePage(ThreadingHTTPServer):
    """Serves ``render()`` at ``/``. Use ``serve_forever()``, then ``server_close()``.

    Args:
        render: the page as it is now; an exception is told in its place and served as an error.
        port: 0 takes a free one; see ``url``.
        tell: gets a line for a page that could not be made.
    Raises: OSError when the port is taken.
    """

    daemon_threads = True

    def __init__(self, render: Render, port: int, tell: Callable[[str], None]) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.render, self.tell = render, tell

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))


class _Handler(BaseHTTPRequestHandler):
    server: LivePage

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            self._answer(403, "this page is for this machine alone\n")
        elif self.path != "/":
            self._answer(404, "there is one page: /\n")
        else:
            self._page()

    def _page(self) -> None:
        try:
            page = self.server.render()
        except Exception as error:
            self.server.tell(f"the page could not be made: {error}")
            self._answer(503, f"{error}\n")
            return
        mark = f'"{hashlib.sha256(page.encode()).hexdigest()}"'
        if self.headers.get("If-None-Match") == mark:
            self._answer(304, "", ETag=mark)
        else:
            self._answer(200, page, kind="text/html", ETag=mark)

    def _answer(self, status: int, text: str, *, kind: str = "text/plain", **headers: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """A page that asks every two seconds is no news."""
