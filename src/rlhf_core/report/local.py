"""Pages that are served to this machine alone.

Only the loopback address is bound, and a request that names another host is refused: a page of some site that the
reader has open could otherwise reach it through a name that resolves to 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import socket
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADDRESS = "127.0.0.1"


class LocalServer(ThreadingHTTPServer):
    """Use ``serve_forever()``, then ``server_close()``.

    Args:
        port: 0 takes a free one; see ``url``.
    Raises: OSError when the port is taken.
    """

    daemon_threads = True

    def __init__(self, port: int, handler: type[LocalHandler]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__((ADDRESS, port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Browsers keep connections in reserve, on which they would be answered after the end."""
        super().server_close()
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))


class LocalHandler(BaseHTTPRequestHandler):
    server: LocalServer

    def refused(self) -> bool:
        """Whether the request was for another host, and has been answered so."""
        if self.headers.get("Host") in self.server.hosts:
            return False
        self.answer(403, "this page is for this machine alone\n")
        return True

    def answer(self, status: int, text: str, *, kind: str = "text/plain", **headers: str) -> None:
        """``headers``: further ones, ``_`` for ``-``."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """A page that asks every two seconds is no news."""
