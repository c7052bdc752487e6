"""A page on which a person compares pairs by the keyboard, served to this machine alone.

Only the page itself may write: a request from another origin is refused, and so is a page that frames this one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Protocol

from markupsafe import Markup

from .local import LocalHandler, LocalServer
from .page import environment

LONGEST_BODY = 4096


class Asking(Protocol):
    """What the page asks, one item after the other. Both give the item that is to be answered now: ``place`` (None at
    the end), ``done``, ``total``, ``undo`` (whether there is an answer to take back) and ``prompt``, ``left``,
    ``right``."""

    def now(self) -> Mapping[str, Any]: ...

    def answer(self, place: int | None, choice: str) -> tuple[bool, Mapping[str, Any]]:
        """Whether the answer was to the current item and is written; ``choice`` may be ``undo``.

        Raises: ValueError for a choice that there is not.
        """
        ...


class LabelPage(LocalServer):
    """``/`` is the page, ``/item`` what is asked now, ``/answer`` takes ``{"place", "choice"}`` and gives the next.

    Raises: OSError when the port is taken.
    """

    def __init__(self, asking: Asking, port: int = 0) -> None:
        super().__init__(port, _Handler)
        self.asking = asking
        self.page = _render()


class _Handler(LocalHandler):
    server: LabelPage

    def do_GET(self) -> None:
        if self.refused():
            return
        if self.path == "/":
            self.answer(200, self.server.page, kind="text/html", X_Frame_Options="DENY")
        elif self.path == "/item":
            self._tell(200, self.server.asking.now())
        else:
            self.answer(404, "there is one page: /\n")

    def do_POST(self) -> None:
        if self.refused():
            return
        # A browser states the origin of what it posts; none but our own page has ours.
        if self.headers.get("Origin") != f"http://{self.headers.get('Host')}":
            self.answer(403, "answers come from this page alone\n")
        elif self.path != "/answer":
            self.answer(404, "answers go to /answer\n")
        else:
            self._take()

    def _take(self) -> None:
        try:
            place, choice = self._body()
            taken, now = self.server.asking.answer(place, choice)
        except ValueError as error:
            self.answer(400, f"{error}\n")
            return
        self._tell(200 if taken else 409, now)

    def _body(self) -> tuple[int | None, str]:
        """Raises: ValueError unless it is a small JSON object of a place and a choice."""
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= LONGEST_BODY:
            raise ValueError(f"expected 1 to {LONGEST_BODY} bytes, found {length}")
        found = json.loads(self.rfile.read(length))
        place, choice = (found.get(key) if isinstance(found, dict) else None for key in ("place", "choice"))
        if not isinstance(choice, str) or not (place is None or type(place) is int):
            raise ValueError("expected a place and a choice")
        return place, choice

    def _tell(self, status: int, what: Mapping[str, Any]) -> None:
        self.answer(status, json.dumps(what), kind="application/json")


def _render() -> str:
    script, style = (files(__package__).joinpath(name).read_text("utf-8") for name in ("label.js", "page.css"))
    mark = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .get_template("label.html")
        .render(script=Markup(script), script_hash=mark, style=Markup(style))
    )  # fmt: skip
