"""What commands print: what others wrote is shown, neither obeyed by a terminal nor read as markup."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from rich.table import Table
from rich.text import Text

_OBEYED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a terminal obeys instead of showing them, and those that change the order of others."""


def visible(text: str) -> str:
    """Return a text in which characters that a terminal obeys are written out."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def cells(*values: object) -> list[Text]:
    """Return the cells of a row, as text that rich reads no markup in."""
    return [Text(visible(str(value))) for value in values]


def plain_table(*columns: str, right: Container[str] = ()) -> Table:
    """Return a table without lines.

    Args:
        columns: Their headers.
        right: Those whose cells end at the right.
    """
    table = Table(box=None, header_style="bold", caption_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table
