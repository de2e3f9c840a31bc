"""Forms made of a model are of the few sorts of fields that clients can show."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from scopedtools.context.forms import form
from scopedtools.exceptions import DefinitionError
from tests.contract.judge import Judges
from tests.contract.more import Much
from tests.contract.small import Book


class Shelf(BaseModel):
    """Holds books."""

    books: list[Book]


class Reading(BaseModel):
    """Is about one book."""

    book: Book


class Scattered(BaseModel):
    """Holds anything."""

    things: list[str]


class Either(BaseModel):
    """Is one or the other."""

    value: int | str


def test_a_form_says_no_more_than_clients_know(judges: Judges) -> None:
    made = form(TypeAdapter(Much))
    judges.by_revision["2025-11-25"].fits(
        "ElicitRequestFormParams", {"message": "?", "requestedSchema": made}
    )
    assert made["required"] == ["size", "day"]
    assert made["properties"] == {
        "size": {"type": "string", "enum": ["small", "large"], "description": "A size."},
        "sizes": {"type": "array", "items": {"type": "string", "enum": ["small", "large"]}, "default": []},
        "day": {"type": "string", "format": "date"},
        "moment": {"type": "string"},
        "number": {"type": "integer", "default": 5},
        "share": {"type": "number", "default": 0.5, "title": "Share", "minimum": 0, "maximum": 1},
        "sure": {"type": "string", "enum": ["yes"], "default": "yes"},
        "note": {"type": "string", "maxLength": 10, "description": "If you like"},
    }


@pytest.mark.parametrize("model", [Shelf, Reading, Scattered, Either])
def test_a_form_of_more_than_plain_fields_is_refused(model: type[Any]) -> None:
    with pytest.raises(DefinitionError, match="a form"):
        form(TypeAdapter(model))
