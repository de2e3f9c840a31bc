"""Tools that order, combine, compare and regroup lists of values and of records."""

import itertools
import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from examples.workbench.numeric import Number, finite, same_length

Items = Annotated[list[JsonValue], Field(max_length=10_000)]
Numbers = Annotated[list[Number], Field(min_length=1, max_length=10_000)]
Record: TypeAlias = dict[str, JsonValue]
Records = Annotated[list[Record], Field(max_length=10_000)]
Key = Annotated[str, Field(min_length=1, max_length=200)]
Keys = Annotated[list[Key], Field(min_length=1, max_length=50)]
Length = Annotated[int, Field(ge=1, le=10_000)]

_MAX_ROWS = 10_000


@dataclass(frozen=True)
class Count:
    value: JsonValue
    count: int


def _identity(value: JsonValue) -> str:
    """Return a text that is the same for equal JSON values."""
    return json.dumps(value, sort_keys=True)


def _distinct(items: Iterable[JsonValue]) -> list[JsonValue]:
    found: dict[str, JsonValue] = {}
    for item in items:
        found.setdefault(_identity(item), item)
    return list(found.values())


def _few(count: int) -> None:
    if count > _MAX_ROWS:
        raise ValueError(f"the result must have at most {_MAX_ROWS:,} rows, got {count:,}: use fewer items")


def _field(record: Record, key: str) -> JsonValue:
    if key not in record:
        raise ValueError(
            f"every record must have {key!r}, got one with {sorted(record)[:20]}: use a key of all"
        )
    return record[key]


def _number(record: Record, key: str) -> float:
    value = _field(record, key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"the values of {key!r} must be numbers, got {value!r}: convert or leave out others")


def _flat(items: list[JsonValue], levels: int) -> Iterator[JsonValue]:
    for item in items:
        if isinstance(item, list) and levels:
            yield from _flat(item, levels - 1)
        else:
            yield item


def sort_numbers(numbers: Numbers, *, descending: bool = False) -> list[float]:
    """Sort a list of numbers.

    Args:
        numbers: The numbers.
        descending: Largest first.
    """
    return sorted(numbers, reverse=descending)


def rank_numbers(numbers: Numbers, *, descending: bool = True) -> list[int]:
    """Give each number its rank in a list, as in a competition: equal numbers share the better rank.

    Args:
        numbers: The numbers.
        descending: Rank 1 is the largest; otherwise the smallest.
    """
    ranks: dict[float, int] = {}
    for rank, number in enumerate(sorted(numbers, reverse=descending), start=1):
        ranks.setdefault(number, rank)
    return [ranks[number] for number in numbers]


def running_totals(numbers: Numbers) -> list[float]:
    """Compute the running total (cumulative sum) after each number of a list.

    Args:
        numbers: The numbers, in order.
    """
    return finite(list(itertools.accumulate(numbers)))


def consecutive_differences(numbers: Numbers) -> list[float]:
    """Compute the difference of each number of a list from the one before it.

    Args:
        numbers: The numbers, in order.
    """
    return finite([after - before for before, after in itertools.pairwise(numbers)])


def number_range(start: Number, stop: Number, step: Number = 1) -> list[float]:
    """List evenly spaced numbers from a start up to a stop, which is included where a step meets it.

    Args:
        start: The first number.
        stop: The limit.
        step: The distance between numbers; negative to count down.
    """
    if step == 0:
        raise ValueError("step must not be 0, got 0: use a positive or negative one")
    steps = math.floor((stop - start) / step + 1e-9)
    _few(steps + 1)
    return [start + step * index for index in range(steps + 1)]


def unique_values(items: Items) -> list[JsonValue]:
    """Remove duplicate values from a list, keeping the first of each in order.

    Args:
        items: Any JSON values.
    """
    return _distinct(items)


def count_values(items: Items) -> list[Count]:
    """Count how often each value occurs in a list, most frequent first.

    Args:
        items: Any JSON values.
    """
    counts: dict[str, int] = {}
    for item in items:
        counts[_identity(item)] = counts.get(_identity(item), 0) + 1
    found = [Count(value, counts[_identity(value)]) for value in _distinct(items)]
    return sorted(found, key=lambda entry: -entry.count)


def chunk_list(items: Items, size: Length) -> list[list[JsonValue]]:
    """Split a list into chunks (batches, pages) of a given size; the last may be shorter.

    Args:
        items: Any JSON values.
        size: How many values each chunk has.
    """
    return [items[start : start + size] for start in range(0, len(items), size)]


def flatten_list(items: Items, levels: Annotated[int, Field(ge=1, le=100)] = 1) -> list[JsonValue]:
    """Flatten nested lists into one list.

    Args:
        items: A list that may hold lists.
        levels: How many levels of nesting to take away.
    """
    return list(_flat(items, levels))


def rotate_list(items: Items, positions: Annotated[int, Field(ge=-10_000, le=10_000)]) -> list[JsonValue]:
    """Rotate a list: move values from its front to its end.

    Args:
        items: Any JSON values.
        positions: How many values to move; negative to move from the end to the front.
    """
    cut = positions % max(len(items), 1)
    return items[cut:] + items[:cut]


def zip_lists(first: Items, second: Items) -> list[list[JsonValue]]:
    """Pair up two lists of one length, value by value.

    Args:
        first: The first value of each pair.
        second: The second value of each pair.
    """
    same_length("first", first, "second", second)
    return [[one, two] for one, two in zip(first, second, strict=True)]


def set_union(first: Items, second: Items) -> list[JsonValue]:
    """List the values that are in either of two lists, each once (set union).

    Args:
        first: The first list.
        second: The second list.
    """
    return _distinct([*first, *second])


def set_intersection(first: Items, second: Items) -> list[JsonValue]:
    """List the values that are in both of two lists, each once (set intersection).

    Args:
        first: The first list, whose order is kept.
        second: The second list.
    """
    others = {_identity(item) for item in second}
    return [item for item in _distinct(first) if _identity(item) in others]


def set_difference(first: Items, second: Items) -> list[JsonValue]:
    """List the values that are in the first list but not in the second, each once (set difference).

    Args:
        first: The list to take from.
        second: The values to leave out.
    """
    others = {_identity(item) for item in second}
    return [item for item in _distinct(first) if _identity(item) not in others]


def cartesian_product(
    lists: Annotated[
        list[Annotated[list[JsonValue], Field(max_length=1_000)]], Field(min_length=1, max_length=10)
    ],
) -> list[list[JsonValue]]:
    """List every way to take one value from each of several lists (Cartesian product), at most 10,000.

    Args:
        lists: The lists to combine.
    """
    _few(math.prod(map(len, lists)))
    return [list(row) for row in itertools.product(*lists)]


def list_permutations(
    items: Annotated[list[JsonValue], Field(max_length=100)],
    length: Annotated[int, Field(ge=1, le=100)] | None = None,
) -> list[list[JsonValue]]:
    """List every ordered arrangement (permutation) of values, at most 10,000.

    Args:
        items: The values; equal ones count as different.
        length: How many values each arrangement has; all of them if left out.
    """
    _few(math.perm(len(items), length))
    return [list(row) for row in itertools.permutations(items, length)]


def list_combinations(
    items: Annotated[list[JsonValue], Field(max_length=1_000)], length: Annotated[int, Field(ge=1, le=1_000)]
) -> list[list[JsonValue]]:
    """List every way to choose a number of values regardless of order (combinations), at most 10,000.

    Args:
        items: The values; equal ones count as different.
        length: How many values each choice has.
    """
    _few(math.comb(len(items), length))
    return [list(row) for row in itertools.combinations(items, length)]


def group_records(records: Records, key: Key) -> dict[str, list[Record]]:
    """Group records (JSON objects) by the value that they have under a key.

    Args:
        records: The records.
        key: The key; a value that is not text names its group by its JSON.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        value = _field(record, key)
        groups.setdefault(value if isinstance(value, str) else _identity(value), []).append(record)
    return groups


def sort_records(records: Records, key: Key, *, descending: bool = False) -> list[Record]:
    """Sort records (JSON objects) by the number or text that they have under a key.

    Args:
        records: The records; equal ones keep their order.
        key: The key; its values are all numbers or all text.
        descending: Largest or last first.
    """
    values = [_field(record, key) for record in records]
    if not any(all(isinstance(value, kind) for value in values) for kind in (str, int | float)):
        raise ValueError(f"the values of {key!r} must be all numbers or all text, got others: convert them")
    ordered = sorted(zip(values, records, strict=True), key=itemgetter(0), reverse=descending)
    return [record for _, record in ordered]


def deduplicate_records(records: Records, keys: Keys | None = None) -> list[Record]:
    """Remove duplicate records (JSON objects), keeping the first of each.

    Args:
        records: The records.
        keys: The keys that make records the same; all if left out.
    """
    found: dict[str, Record] = {}
    for record in records:
        found.setdefault(_identity([record.get(key) for key in keys] if keys else record), record)
    return list(found.values())


def select_record_keys(records: Records, keys: Keys) -> list[Record]:
    """Keep only some keys of each record (JSON object).

    Args:
        records: The records.
        keys: The keys to keep; those that a record lacks are left out.
    """
    return [{key: record[key] for key in keys if key in record} for record in records]


def sum_records(
    records: Records, key: Key, by: Key, how: Literal["sum", "mean", "min", "max"] = "sum"
) -> dict[str, float]:
    """Add up, average or compare the numbers under one key of records, for each value of another key.

    Args:
        records: The records (JSON objects).
        key: The key of the numbers.
        by: The key to group by.
        how: What to compute for each group.
    """
    functions: dict[str, Callable[[list[float]], float]] = {
        "sum": math.fsum,
        "mean": statistics.fmean,
        "min": min,
        "max": max,
    }
    groups = group_records(records, by)
    return {
        name: functions[how]([_number(record, key) for record in group]) for name, group in groups.items()
    }


def records_to_columns(records: Records) -> dict[str, list[JsonValue]]:
    """Transpose records (JSON objects) into columns: one list of values for each key.

    Args:
        records: The records; what one lacks becomes null.
    """
    keys = dict.fromkeys(itertools.chain.from_iterable(records))
    return {key: [record.get(key) for record in records] for key in keys}


def columns_to_records(columns: Annotated[dict[str, Items], Field(max_length=100)]) -> list[Record]:
    """Transpose columns of one length into records: one JSON object for each row.

    Args:
        columns: A list of values for each key.
    """
    if len({len(column) for column in columns.values()}) > 1:
        lengths = {key: len(column) for key, column in columns.items()}
        raise ValueError(f"columns must have one length, got {lengths}: fill the short ones")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
