"""Tools for tables as CSV text, and for CSV files in the sandbox.

The first row names the columns and every other row has one cell for each. Cells are text; a tool that
needs numbers reads them and says which cell is none.
"""

import csv
import io
import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from examples.workbench.sandbox import SandboxPath, read_text

CsvText = Annotated[str, Field(min_length=1, max_length=200_000)]
Delimiter = Literal[",", ";", "\t", "|"]
Column = Annotated[str, Field(max_length=200)]
Columns = Annotated[list[Column], Field(min_length=1, max_length=100)]
Cell = (
    Annotated[str, Field(max_length=10_000)]
    | int
    | Annotated[float, Field(allow_inf_nan=False)]
    | bool
    | None
)
Aggregate = Literal["sum", "mean", "min", "max", "count"]
Comparison = Literal[
    "equals", "not_equals", "contains", "starts_with", "greater", "less", "at_least", "at_most"
]

_MAX_CELLS = 200_000


@dataclass(frozen=True)
class ColumnStatistics:
    rows: int
    empty: int
    distinct: int
    numbers: int
    sum: float | None
    mean: float | None
    median: float | None
    minimum: float | None
    maximum: float | None
    standard_deviation: float | None


@dataclass(frozen=True)
class CellChange:
    key: str
    column: str
    before: str
    after: str


@dataclass(frozen=True)
class CsvComparison:
    added: list[dict[str, str]]
    removed: list[dict[str, str]]
    changed: list[CellChange]
    unchanged_rows: int
    added_columns: list[str]
    removed_columns: list[str]


@dataclass(frozen=True)
class CsvPage:
    columns: list[str]
    total_rows: int
    rows: list[dict[str, str]]


@dataclass(frozen=True)
class _Table:
    header: list[str]
    rows: list[list[str]]

    def index(self, column: str) -> int:
        if column not in self.header:
            raise ValueError(f"column must be one of {', '.join(self.header[:30])}, got {column!r}")
        return self.header.index(column)

    def records(self, rows: Iterable[list[str]]) -> list[dict[str, str]]:
        return [dict(zip(self.header, row, strict=True)) for row in rows]


def _parse(text: str, delimiter: str = ",") -> _Table:
    try:
        lines = csv.reader(
            io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter, strict=True
        )
        header, *rows = [row for row in lines if row] or [[]]
    except csv.Error as error:
        raise ValueError(f"text must be CSV with {delimiter!r} between cells: {error}") from error
    if not header:
        raise ValueError("text must hold a row of column names, got none")
    if len(set(header)) < len(header) or max(map(len, header)) > 200:
        raise ValueError(
            f"column names must differ and have at most 200 characters, got {', '.join(header)[:200]}"
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(
                f"each row must have {len(header)} cells like the header, row {number} has {len(row)}"
            )
    if len(header) * len(rows) > _MAX_CELLS:
        raise ValueError(f"a table must have at most {_MAX_CELLS:,} cells, got {len(header) * len(rows):,}")
    return _Table(header, rows)


def _write(header: Sequence[str], rows: Iterable[Sequence[Cell]], delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in cell else None


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("the result is too large for a number: use smaller values")
    return number


def _numbers(table: _Table, column: str, *, skip_invalid: bool) -> list[float]:
    index = table.index(column)
    numbers = []
    for row, cells in enumerate(table.rows, start=1):
        number = _number(cells[index])
        if number is not None:
            numbers.append(number)
        elif not skip_invalid:
            raise ValueError(f"column {column!r} must hold numbers, got {cells[index]!r} in row {row}")
    return numbers


def _aggregated(cells: list[str], aggregate: Aggregate, column: str) -> str:
    """Return one number for a group's cells as text: whole numbers without a decimal point."""
    if aggregate == "count":
        return str(len(cells))
    numbers = _numbers(
        _Table([column], [[cell] for cell in cells if cell.strip()]), column, skip_invalid=False
    )
    if not numbers:
        return ""
    functions: dict[str, Callable[[list[float]], float]] = {
        "sum": math.fsum, "mean": statistics.fmean, "min": min, "max": max,
    }  # fmt: skip
    return f"{_finite(functions[aggregate](numbers)):.15g}"


def _keyed(table: _Table, key: str, name: str) -> dict[str, dict[str, str]]:
    index = table.index(key)
    keyed = dict(zip((row[index] for row in table.rows), table.records(table.rows), strict=True))
    if len(keyed) < len(table.rows) or any(len(value) > 200 for value in keyed):
        raise ValueError(
            f"key {key!r} must differ in every row of {name} and be at most 200 characters: choose another"
        )
    return keyed


def _compared(before: _Table, after: _Table, key: str) -> CsvComparison:
    old, new = _keyed(before, key, "before"), _keyed(after, key, "after")
    columns = [column for column in before.header if column in after.header]
    both = [value for value in old if value in new]
    changed = [
        CellChange(value, column, old[value][column], new[value][column])
        for value in both
        for column in columns
        if old[value][column] != new[value][column]
    ]
    return CsvComparison(
        added=[new[value] for value in new if value not in old],
        removed=[old[value] for value in old if value not in new],
        changed=changed,
        unchanged_rows=len(both) - len({change.key for change in changed}),
        added_columns=[column for column in after.header if column not in before.header],
        removed_columns=[column for column in before.header if column not in after.header],
    )


def _matches(cell: str, comparison: Comparison, value: str) -> bool:
    match comparison:
        case "equals":
            return cell == value
        case "not_equals":
            return cell != value
        case "contains":
            return value.casefold() in cell.casefold()
        case "starts_with":
            return cell.casefold().startswith(value.casefold())
    number, bound = _number(cell), _number(value)
    if bound is None:
        raise ValueError(f"value must be a number for {comparison!r}, got {value!r}")
    if number is None:
        return False
    return {
        "greater": number > bound,
        "less": number < bound,
        "at_least": number >= bound,
        "at_most": number <= bound,
    }[comparison]


def csv_parse(
    text: CsvText, delimiter: Delimiter = ",", limit: Annotated[int, Field(ge=1, le=1_000)] = 100
) -> list[dict[str, str]]:
    """Parse CSV text into records, one per row, keyed by column name.

    Args:
        text: The CSV text; its first row names the columns.
        delimiter: What stands between the cells.
        limit: The most rows to return.
    """
    table = _parse(text, delimiter)
    return table.records(table.rows[:limit])


def csv_build(
    records: Annotated[list[dict[Column, Cell]], Field(min_length=1, max_length=5_000)],
    delimiter: Delimiter = ",",
) -> str:
    """Write records as CSV text, with a column for each key.

    Args:
        records: The rows; a key that is missing or null gives an empty cell.
        delimiter: What to put between the cells.
    """
    columns = list(dict.fromkeys(key for record in records for key in record))
    if not 0 < len(columns) * len(records) <= _MAX_CELLS:
        raise ValueError(
            f"the table must have 1 to {_MAX_CELLS:,} cells, got {len(columns) * len(records):,}"
        )
    words = {True: "true", False: "false"}
    rows = ([words[c] if isinstance(c, bool) else c for c in map(record.get, columns)] for record in records)
    return _write(columns, rows, delimiter)


def csv_columns(text: CsvText) -> list[str]:
    """List the column names of a CSV text.

    Args:
        text: The CSV text, comma separated.
    """
    return _parse(text).header


def csv_head(text: CsvText, rows: Annotated[int, Field(ge=1, le=1_000)] = 5) -> str:
    """Return the header and the first rows of a CSV text.

    Args:
        text: The CSV text, comma separated.
        rows: How many rows to keep.
    """
    table = _parse(text)
    return _write(table.header, table.rows[:rows])


def csv_select_columns(text: CsvText, columns: Columns) -> str:
    """Keep only some columns of a CSV text, in the order asked for.

    Args:
        text: The CSV text, comma separated.
        columns: The names of the columns to keep.
    """
    table = _parse(text)
    indices = [table.index(column) for column in dict.fromkeys(columns)]
    return _write([table.header[i] for i in indices], ([row[i] for i in indices] for row in table.rows))


def csv_rename_column(text: CsvText, column: Column, new_name: Column) -> str:
    """Rename one column of a CSV text.

    Args:
        text: The CSV text, comma separated.
        column: The present name.
        new_name: The name it shall have.
    """
    table = _parse(text)
    index = table.index(column)
    if new_name in table.header:
        raise ValueError(f"new_name must be free, got {new_name!r}: the table has such a column")
    return _write([*table.header[:index], new_name, *table.header[index + 1 :]], table.rows)


def csv_filter_rows(text: CsvText, column: Column, comparison: Comparison, value: Column) -> str:
    """Keep the rows of a CSV text whose cell in one column meets a condition.

    Args:
        text: The CSV text, comma separated.
        column: The column to look at.
        comparison: How to compare; `greater`, `less`, `at_least` and `at_most` compare numbers.
        value: What to compare with.
    """
    table = _parse(text)
    index = table.index(column)
    return _write(table.header, (row for row in table.rows if _matches(row[index], comparison, value)))


def csv_sort(text: CsvText, column: Column, *, numeric: bool = False, descending: bool = False) -> str:
    """Sort the rows of a CSV text by one column.

    Args:
        text: The CSV text, comma separated.
        column: The column to sort by.
        numeric: Whether to compare numbers; cells that hold none come last.
        descending: Whether the largest comes first.
    """
    table = _parse(text)
    index = table.index(column)
    if not numeric:
        ordered = sorted(table.rows, key=lambda row: row[index], reverse=descending)
        return _write(table.header, ordered)
    numbered = [(number, row) for row in table.rows if (number := _number(row[index])) is not None]
    others = [row for row in table.rows if _number(row[index]) is None]
    ranked = sorted(numbered, key=lambda pair: pair[0], reverse=descending)
    return _write(table.header, [*(row for _, row in ranked), *others])


def csv_group(text: CsvText, by: Column, column: Column, aggregate: Aggregate) -> str:
    """Group the rows of a CSV text and compute a sum, mean, minimum, maximum or count for each group.

    Args:
        text: The CSV text, comma separated.
        by: The column whose values make the groups.
        column: The column to compute over; empty cells are left out, except for `count`.
        aggregate: What to compute.
    """
    table = _parse(text)
    group, value = table.index(by), table.index(column)
    groups: dict[str, list[str]] = {}
    for row in table.rows:
        groups.setdefault(row[group], []).append(row[value])
    rows = ([name, _aggregated(cells, aggregate, column)] for name, cells in groups.items())
    return _write([by, f"{aggregate}_{column}"], rows)


def csv_pivot(
    text: CsvText, rows: Column, columns: Column, values: Column, aggregate: Aggregate = "sum"
) -> str:
    """Make a pivot table from a CSV text: one column's values down, another's across.

    Args:
        text: The CSV text, comma separated.
        rows: The column whose values become the rows.
        columns: The column whose values become the columns.
        values: The column to compute each cell from.
        aggregate: What to compute for each cell.
    """
    table = _parse(text)
    down, across, value = (table.index(name) for name in (rows, columns, values))
    cells: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        cells.setdefault((row[down], row[across]), []).append(row[value])
    names, headings = dict.fromkeys(key[0] for key in cells), dict.fromkeys(key[1] for key in cells)
    if len(names) * len(headings) > _MAX_CELLS:
        raise ValueError(f"the pivot table must have at most {_MAX_CELLS:,} cells: choose other columns")
    computed = {key: _aggregated(group, aggregate, values) for key, group in cells.items()}
    return _write([rows, *headings], ([n, *(computed.get((n, h), "") for h in headings)] for n in names))


def csv_column_statistics(text: CsvText, column: Column) -> ColumnStatistics:
    """Describe one column of a CSV text: empty and distinct cells, mean, median, extremes, deviation.

    Args:
        text: The CSV text, comma separated.
        column: The column to describe; cells that hold no number do not count in the figures.
    """
    table = _parse(text)
    index = table.index(column)
    cells = [row[index] for row in table.rows]
    numbers = _numbers(table, column, skip_invalid=True)
    return ColumnStatistics(
        rows=len(cells),
        empty=sum(not cell.strip() for cell in cells),
        distinct=len(set(cells)),
        numbers=len(numbers),
        sum=_finite(math.fsum(numbers)) if numbers else None,
        mean=_finite(statistics.fmean(numbers)) if numbers else None,
        median=_finite(statistics.median(numbers)) if numbers else None,
        minimum=min(numbers, default=None),
        maximum=max(numbers, default=None),
        standard_deviation=_finite(statistics.stdev(numbers)) if len(numbers) > 1 else None,
    )


def csv_column_numbers(text: CsvText, column: Column, *, skip_invalid: bool = False) -> list[float]:
    """Get the numbers in one column of a CSV text.

    Args:
        text: The CSV text, comma separated.
        column: The column to read.
        skip_invalid: Whether to leave out cells that hold no number, which else are an error.
    """
    return _numbers(_parse(text), column, skip_invalid=skip_invalid)


def csv_join(left: CsvText, right: CsvText, key: Column, how: Literal["inner", "left"] = "inner") -> str:
    """Join two CSV texts on a column they share, like a database join.

    Args:
        left: The first table, comma separated.
        right: The second table, comma separated; its columns are added to those of the first.
        key: The column that both tables have.
        how: `inner` keeps rows found in both, `left` keeps all rows of the first.
    """
    first, second = _parse(left), _parse(right)
    here, there = first.index(key), second.index(key)
    added = [name if name not in first.header else f"{name}_right" for name in second.header if name != key]
    partners: dict[str, list[list[str]]] = {}
    for row in second.rows:
        partners.setdefault(row[there], []).append(row[:there] + row[there + 1 :])
    missing = [[""] * len(added)] if how == "left" else []
    joined = (row + other for row in first.rows for other in partners.get(row[here], missing))
    kept = list(itertools.islice(joined, 10_001))
    if len(kept) > 10_000:
        raise ValueError("the joined table must have at most 10,000 rows: choose a key that repeats less")
    return _write([*first.header, *added], kept)


def csv_compare(before: CsvText, after: CsvText, key: Column) -> CsvComparison:
    """Compare two CSV texts by a key column: which rows were added, removed or changed.

    Args:
        before: The old table, comma separated.
        after: The new table, comma separated.
        key: The column that identifies a row in both.
    """
    return _compared(_parse(before), _parse(after), key)


def csv_deduplicate(
    text: CsvText, columns: Annotated[list[Column], Field(max_length=100)] | None = None
) -> str:
    """Remove duplicate rows from a CSV text and keep the first of each.

    Args:
        text: The CSV text, comma separated.
        columns: The columns that decide whether two rows are the same; all of them when left out.
    """
    table = _parse(text)
    indices = [table.index(column) for column in columns or table.header]
    first: dict[tuple[str, ...], list[str]] = {}
    for row in table.rows:
        first.setdefault(tuple(row[i] for i in indices), row)
    return _write(table.header, first.values())


def csv_change_delimiter(text: CsvText, old: Delimiter, new: Delimiter) -> str:
    """Convert CSV text from one delimiter to another, such as semicolon to comma.

    Args:
        text: The CSV text.
        old: What stands between the cells now.
        new: What shall stand between them.
    """
    table = _parse(text, old)
    return _write(table.header, table.rows, new)


def csv_to_markdown(text: CsvText) -> str:
    """Convert CSV text to a Markdown table.

    Args:
        text: The CSV text, comma separated.
    """
    table = _parse(text)
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in line) + " |"
        for line in lines
    )


def csv_transpose(text: CsvText) -> str:
    """Turn the rows of a CSV text into columns and its columns into rows.

    Args:
        text: The CSV text, comma separated; its first column becomes the header.
    """
    table = _parse(text)
    header, *rows = zip(table.header, *table.rows, strict=True)
    return _write(header, rows)


def csv_file_read(
    path: SandboxPath,
    delimiter: Delimiter = ",",
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100,
) -> CsvPage:
    """Read rows of a CSV file in the workbench folder as records.

    Args:
        path: The file, relative to the workbench folder.
        delimiter: What stands between the cells.
        offset: How many rows to skip.
        limit: The most rows to return.
    """
    table = _parse(read_text(path), delimiter)
    return CsvPage(table.header, len(table.rows), table.records(table.rows[offset : offset + limit]))


def csv_file_compare(
    before_path: SandboxPath, after_path: SandboxPath, key: Column, delimiter: Delimiter = ","
) -> CsvComparison:
    """Compare two CSV files in the workbench folder by a key: rows added, removed or changed.

    Args:
        before_path: The old file, relative to the workbench folder.
        after_path: The new file, relative to the workbench folder.
        key: The column that identifies a row in both.
        delimiter: What stands between the cells.
    """
    return _compared(_parse(read_text(before_path), delimiter), _parse(read_text(after_path), delimiter), key)


def csv_file_column(
    path: SandboxPath, column: Column, delimiter: Delimiter = ",", *, skip_invalid: bool = False
) -> list[float]:
    """Get the numbers in one column of a CSV file in the workbench folder.

    Args:
        path: The file, relative to the workbench folder.
        column: The column to read.
        delimiter: What stands between the cells.
        skip_invalid: Whether to leave out cells that hold no number, which else are an error.
    """
    return _numbers(_parse(read_text(path), delimiter), column, skip_invalid=skip_invalid)
