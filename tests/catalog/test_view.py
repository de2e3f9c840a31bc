from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools import Catalog, View
from scopedtools.catalog.primitives import KINDS, Primitive, Prompt, Resource, ResourceTemplate, Tool
from scopedtools.catalog.view import bits_of, ordinals

TAGS = ("red", "green", "blue")


def row(number: int) -> Primitive:
    tags = frozenset(tag for place, tag in enumerate(TAGS) if number >> place & 1)
    name = f"r{number // 2}"
    made: tuple[Callable[[], Primitive], ...] = (
        lambda: Tool(name=f"r{number}", tags=tags),
        lambda: Resource(name=name, tags=tags, uri=f"shelf://{number}"),
        lambda: ResourceTemplate(name=name, tags=tags, uri_template=f"shelf://{number}/{{a}}"),
        lambda: Prompt(name=f"r{number}", tags=tags),
    )
    return made[number % 4]()


CATALOG = Catalog(row(number) for number in range(40))
SIZE = len(CATALOG)

SETS = st.sets(st.integers(0, SIZE - 1))
ORDERS = SETS.flatmap(lambda rows: st.permutations(sorted(rows))).map(tuple)


def of_bits(rows: set[int]) -> View:
    return View(CATALOG, bits_of(rows))


def of_order(order: tuple[int, ...]) -> View:
    return View(CATALOG, order=order)


VIEWS = SETS.map(of_bits) | ORDERS.map(of_order)


def rows_of(view: View) -> set[int]:
    return set(view.order)


@given(VIEWS, VIEWS)
def test_algebra_is_that_of_sets(a: View, b: View) -> None:
    left, right = rows_of(a), rows_of(b)
    assert rows_of(a | b) == left | right
    assert rows_of(a & b) == left & right
    assert rows_of(a - b) == left - right
    assert rows_of(a.then(b)) == left | right
    for view in (a, b, a | b, a & b, a - b, a.then(b)):
        assert len(view) == len(view.order) == len(set(view.order)) == view.bits.bit_count()
        assert bool(view) == bool(view.order)
        assert ordinals(view.bits) == tuple(sorted(view.order))
        assert [one.identity for one in view] == [CATALOG.rows[place].identity for place in view.order]


@given(VIEWS, VIEWS, VIEWS)
def test_laws_of_algebra_hold(a: View, b: View, c: View) -> None:
    assert a | b == b | a
    assert rows_of(a & (b | c)) == rows_of((a & b) | (a & c))
    assert rows_of(a - (b | c)) == rows_of((a - b) & (a - c))
    assert a & a == a - CATALOG.tagged() == a & CATALOG.all == a
    assert a.then(b).then(c) == a.then(b.then(c))


@given(VIEWS, VIEWS)
def test_a_union_is_in_catalog_order_and_the_rest_keeps_the_order_of_the_left(a: View, b: View) -> None:
    assert list((a | b).order) == sorted((a | b).order)
    assert list((a & b).order) == [place for place in a.order if place in rows_of(b)]
    assert list((a - b).order) == [place for place in a.order if place not in rows_of(b)]
    assert a.then(b).order[: len(a)] == a.order
    assert list(a.then(b).order[len(a) :]) == [place for place in b.order if place not in rows_of(a)]


@given(VIEWS)
def test_a_row_is_in_a_view_by_place_and_by_itself(view: View) -> None:
    for place, one in enumerate(CATALOG.rows):
        assert (place in view) == (one in view) == (place in rows_of(view))
    assert SIZE not in view
    assert -1 not in view
    assert Tool(name="stranger") not in view


@given(VIEWS, st.sets(st.sampled_from((*TAGS, "none"))))
def test_rows_are_found_by_tag(view: View, tags: set[str]) -> None:
    found = view.tagged(*tags)
    assert list(found.order) == [place for place in view.order if CATALOG.rows[place].tags & tags]
    assert found == view & CATALOG.tagged(*tags)


@given(VIEWS, st.sets(st.sampled_from([f"r{number}" for number in range(50)])))
def test_rows_are_found_by_name_whatever_their_kind(view: View, names: set[str]) -> None:
    found = view.named(*names)
    assert list(found.order) == [place for place in view.order if CATALOG.rows[place].name in names]
    assert found == view & CATALOG.named(*names)


@given(VIEWS)
def test_kinds_part_a_view(view: View) -> None:
    parts = [view.of(kind) for kind in KINDS]
    assert sum(map(len, parts)) == len(view)
    for kind, part in zip(KINDS, parts, strict=True):
        assert list(part.order) == [place for place in view.order if CATALOG.kinds[place] == kind]


@given(ORDERS)
def test_a_revision_tells_rows_and_order_and_nothing_else(order: tuple[int, ...]) -> None:
    again = Catalog(row(number) for number in range(40))
    view = of_order(order)
    assert view.revision == View(again, order=order).revision
    backwards = of_order(order[::-1])
    assert (view.revision == backwards.revision) == (order == order[::-1])
    assert (view == backwards) == (order == order[::-1])
    if list(order) == sorted(order):
        assert view.revision == View(CATALOG, bits_of(order)).revision
        assert (view, hash(view)) == (View(CATALOG, bits_of(order)), hash(View(CATALOG, bits_of(order))))


def test_a_revision_tells_what_is_shown_and_nothing_of_the_rest_of_the_catalog() -> None:
    other = Catalog([*CATALOG.rows[:-1], Tool(name="new")])
    assert View(other, 1).revision == View(CATALOG, 1).revision
    assert other.all.revision != CATALOG.all.revision
    renamed = Catalog([Tool(name="r0", description="Another."), *CATALOG.rows[1:]])
    assert View(renamed, 1).revision != View(CATALOG, 1).revision
    assert View(renamed, 2).revision == View(CATALOG, 2).revision


@given(SETS)
def test_bits_are_what_the_vector_library_takes(rows: set[int]) -> None:
    import faiss
    import numpy as np

    size_bytes = (SIZE + 7) // 8
    packed = of_bits(rows).bits.to_bytes(size_bytes, "little")
    assert int.from_bytes(packed, "little") == bits_of(rows)
    selector = faiss.IDSelectorBitmap(np.frombuffer(packed, dtype=np.uint8))  # type: ignore[call-arg, arg-type]
    assert {place for place in range(SIZE) if selector.is_member(place)} == rows


def test_views_of_different_catalogs_cannot_be_combined() -> None:
    other = Catalog(CATALOG.rows)
    for combine in (View.__or__, View.__and__, View.__sub__, View.then):
        with pytest.raises(ValueError, match="different catalogs"):
            combine(CATALOG.all, other.all)
    assert CATALOG.all != other.all
    assert CATALOG.all != set(range(SIZE))


def test_a_view_of_nothing_in_particular_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="bits or an order"):
        View(CATALOG)


def test_large_views_are_taken_apart_in_order() -> None:
    rows = {0, 1, 63, 64, 1_000, 99_999}
    assert ordinals(bits_of(rows)) == tuple(sorted(rows))
    assert ordinals(0) == ()


def test_a_view_says_how_much_it_shows() -> None:
    assert repr(of_bits({1, 2})) == "<View of 2 of 40 rows>"
