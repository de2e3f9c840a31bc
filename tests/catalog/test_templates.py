import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.catalog.templates import UriTemplate
from scopedtools.exceptions import DefinitionError


@pytest.mark.parametrize(
    ("template", "uri", "variables"),
    [
        ("shelf://{room}", "shelf://attic", {"room": "attic"}),
        ("shelf://{room}/{book}", "shelf://attic/dune", {"room": "attic", "book": "dune"}),
        ("shelf://{room}/top", "shelf://attic/top", {"room": "attic"}),
        ("shelf://{room}.{kind}", "shelf://attic.txt", {"room": "attic", "kind": "txt"}),
        ("shelf://{+rest}", "shelf://a/b/c", {"rest": "a/b/c"}),
        ("shelf://{room}/{+rest}", "shelf://a/b/c", {"room": "a", "rest": "b/c"}),
        ("shelf://{+rest}/end", "shelf://a/b/end", {"rest": "a/b"}),
        ("shelf://{room}", "shelf://a%20b%2Fc%C3%A9", {"room": "a b/cé"}),
        ("shelf://(a+b)?x={x}", "shelf://(a+b)?x=1", {"x": "1"}),
    ],
)
def test_a_uri_that_follows_the_template_gives_its_variables(
    template: str, uri: str, variables: dict[str, str]
) -> None:
    assert UriTemplate(template).match(uri) == variables


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("shelf://{room}", "shelf://"),
        ("shelf://{room}", "shelf://a/b"),
        ("shelf://{room}", "shelf:///a"),
        ("shelf://{+rest}", "shelf://"),
        ("shelf://{room}/top", "shelf://attic/bottom"),
        ("shelf://{room}/top", "shelf://attic/topmost"),
        ("shelf://a.b/{x}", "shelf://axb/1"),
        ("shelf://{room}", "SHELF://attic"),
    ],
)
def test_a_uri_that_does_not_follow_the_template_gives_nothing(template: str, uri: str) -> None:
    assert UriTemplate(template).match(uri) is None


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_text_survives_its_encoding(room: str, book: str) -> None:
    uri = f"shelf://{quote(room, safe='')}/{quote(book, safe='')}"
    assert UriTemplate("shelf://{room}/{book}").match(uri) == {"room": room, "book": book}


@pytest.mark.parametrize(
    "template", ["room", "{room}", "shelf://{", "shelf://}", "shelf://{a}{", "shelf://{a}/{a}", "shelf://{+}"]
)
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(DefinitionError, match=r"shelf|room"):
        UriTemplate(template)


@pytest.mark.parametrize("places", ["{+v%d}", "{v%d}", "{+v%d}a", "{v%d}a"])
def test_a_uri_that_almost_follows_a_template_is_told_at_once(places: str) -> None:
    template = UriTemplate("shelf://" + "".join(places % number for number in range(20)) + "z")
    began = time.process_time()
    assert template.match(f"shelf://{'a' * 2000}") is None
    assert time.process_time() - began < 1


def test_a_template_has_so_many_variables_at_most() -> None:
    with pytest.raises(DefinitionError, match="has 33 variables, 32 may be"):
        UriTemplate("shelf://" + "".join(f"{{v{number}}}" for number in range(33)))
