"""The tables of the ERP, and the six tools that each of them has."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from examples.erp.entities import ENTITIES
from scopedtools import ToolError


@dataclass(frozen=True)
class Stored:
    number: str
    values: dict[str, Any]


class Table:
    """Records of one kind, by number."""

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        self.one = re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower()
        self.many = f"{self.one}s"
        self._records: dict[str, Any] = {}
        self._added = 0

    def add(self, record: Any) -> Stored:
        """Keep a new record under the next number."""
        self._added += 1
        number = f"{self.one[:2].upper()}-{self._added:04}"
        self._records[number] = record
        return Stored(number, asdict(record))

    def at(self, number: str) -> Stored:
        """Return a record."""
        if number not in self._records:
            raise ToolError(f"there is no {self.one} {number!r}; find_{self.plural} tells what there is")
        return Stored(number, asdict(self._records[number]))

    def put(self, number: str, record: Any) -> Stored:
        """Replace a record."""
        self.at(number)
        self._records[number] = record
        return self.at(number)

    def remove(self, number: str) -> None:
        """Take a record out."""
        self.at(number)
        del self._records[number]

    def matching(self, text: str) -> list[Stored]:
        """Return the records that hold a text."""
        every = [self.at(number) for number in self._records]
        return [one for one in every if text.lower() in " ".join(map(str, one.values.values())).lower()]

    @property
    def singular(self) -> str:
        """The kind, as a part of names."""
        return self.one.replace(" ", "_")

    @property
    def plural(self) -> str:
        """Several of the kind, as a part of names."""
        return self.many.replace(" ", "_")


class Database:
    """All tables; stands for the ERP behind the server."""

    def __init__(self, kinds: Sequence[type[Any]] = ENTITIES) -> None:
        self._tables = {kind: Table(kind) for kind in kinds}

    def of(self, kind: type[Any]) -> Table:
        """Return the table of a kind."""
        return self._tables[kind]

    def tools(self) -> Iterator[Callable[..., Any]]:
        """Yield the tools of every table."""
        for table in self._tables.values():
            yield from _reading(table)
            yield from _writing(table)


def _reading(table: Table) -> Iterator[Callable[..., Any]]:
    async def find(text: str = "", limit: int = 20) -> list[Stored]:
        return table.matching(text)[:limit]

    async def get(number: str) -> Stored:
        return table.at(number)

    async def export() -> str:
        out = io.StringIO()
        names = [field.name for field in fields(table.kind)]
        writer = csv.DictWriter(out, ["number", *names])
        writer.writeheader()
        writer.writerows({"number": one.number, **one.values} for one in table.matching(""))
        return out.getvalue()

    yield _named(find, f"find_{table.plural}", f"Find {table.many} that hold a text.")
    yield _named(get, f"get_{table.singular}", f"Show one {table.one}, by its number.")
    yield _named(export, f"export_{table.plural}", f"Export all {table.many} as CSV.")


def _writing(table: Table) -> Iterator[Callable[..., Any]]:
    async def create(record: Any) -> Stored:
        return table.add(record)

    async def update(number: str, record: Any) -> Stored:
        return table.put(number, record)

    async def archive(number: str) -> str:
        table.remove(number)
        return f"Archived {number}."

    # The schema of each is that of its kind.
    create.__annotations__["record"] = update.__annotations__["record"] = table.kind
    yield _named(create, f"create_{table.singular}", f"Record a new {table.one}.")
    yield _named(update, f"update_{table.singular}", f"Change a {table.one}: replace what is recorded.")
    yield _named(archive, f"archive_{table.singular}", f"Put a {table.one} away.")


def _named(function: Callable[..., Any], name: str, description: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = description
    return function
