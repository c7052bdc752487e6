"""Tables for people: as wide as the terminal on one, whole lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

WIDE = 1000
"""Characters that no table reaches."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Columns are as wide as they need to be; rich is imported here and nowhere before."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    # A pipe has no width of its own, whatever the terminal's COLUMNS say: no line is broken there, and grep finds rows.
    width = None if sys.stdout.isatty() else WIDE
    Console(width=width, highlight=False).print(table)


def print_columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> None:
    """Plain aligned columns, without rich."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)] if rows else []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print((indent + "  ".join([*cells, row[-1]])).rstrip())
