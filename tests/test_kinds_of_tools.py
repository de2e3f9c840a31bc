"""What a search that finds nothing says of the tools that there are."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scopedtools import Catalog
from scopedtools.assembly import kinds_of_tools
from scopedtools.catalog.primitives import Tool
from scopedtools.catalog.view import View

TAGS = [f"tag{number}" for number in range(60)]


@pytest.mark.parametrize("few", [0, 1_000])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_commonest_tags_among_the_tools_of_a_view_are_named(
    few: int, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.setattr("scopedtools.assembly._FEW", few)  # rows counted one by one
    tagged = data.draw(st.lists(st.frozensets(st.sampled_from(TAGS), max_size=12), min_size=1, max_size=40))
    catalog = Catalog(Tool(name=f"t{n}", tags=tags) for n, tags in enumerate(tagged))
    view = View(catalog, data.draw(st.integers(0, (1 << len(tagged)) - 1)))
    sizes = Counter(tag for row in view for tag in row.tags)
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:30]

    said = kinds_of_tools(view)

    kinds = ", ".join(f"{tag} ({size})" for tag, size in largest)
    assert said == f"There are {len(view)} tools" + (f": {kinds}." if kinds else ".")
