"""A page that follows a run, served to this machine alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from .local import LocalHandler, LocalServer

Render = Callable[[], str]


class LivePage(LocalServer):
    """Serves ``render()`` at ``/``. Use ``serve_forever()``, then ``server_close()``.

    Args:
        render: the page as it is now; an exception is told in its place and served as an error.
        port: 0 takes a free one; see ``url``.
        tell: gets a line for a page that could not be made.
    Raises: OSError when the port is taken.
    """

    def __init__(self, render: Render, port: int, tell: Callable[[str], None]) -> None:
        super().__init__(port, _Handler)
        self.render, self.tell = render, tell


class _Handler(LocalHandler):
    server: LivePage

    def do_GET(self) -> None:
        if self.refused():
            return
        if self.path != "/":
            self.answer(404, "there is one page: /\n")
        else:
            self._page()

    def _page(self) -> None:
        try:
            page = self.server.render()
        except Exception as error:
            self.server.tell(f"the page could not be made: {error}")
            self.answer(503, f"{error}\n")
            return
        mark = f'"{hashlib.sha256(page.encode()).hexdigest()}"'
        if self.headers.get("If-None-Match") == mark:
            self.answer(304, "", ETag=mark)
        else:
            self.answer(200, page, kind="text/html", ETag=mark)
