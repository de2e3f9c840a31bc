"""Tables in Markdown, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def head(names: Sequence[str], *, left: int = 1) -> Iterator[str]:
    """Yield the lines that a table begins with; its first columns are aligned left, the others right."""
    yield row(names)
    yield "|" + "|".join("---" if place < left else "---:" for place in range(len(names))) + "|"


def row(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"
