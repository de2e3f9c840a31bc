import dataclasses
import enum
import json
import string
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from scopedtools.catalog.signature import Signature, read_signature
from scopedtools.context.context import Context
from scopedtools.exceptions import DefinitionError, ToolError


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    number: int = Field(ge=1, description="House number.")


class Person(BaseModel):
    name: str
    home: Address
    friends: list["Person"] = []


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


class Options(TypedDict):
    deep: bool
    depth: NotRequired[int]


class Pair(NamedTuple):
    key: str
    value: int = 0


def signature_of(function: Callable[..., Any]) -> Signature:
    return read_signature(function, where="Shop.f", inject=Context, method=False)


def taking(annotation: Any) -> Signature:
    def one(value: Any) -> None:
        """Take one value."""

    one.__annotations__["value"] = annotation
    return signature_of(one)


def schema_accepts(signature: Signature, arguments: Mapping[str, Any]) -> bool:
    return bool(Draft202012Validator(signature.schema).is_valid(arguments))


def function_accepts(signature: Signature, arguments: Mapping[str, Any]) -> bool:
    try:
        signature.arguments(json.dumps(arguments).encode())
    except ToolError:
        return False
    return True


SMALL = st.integers(-1000, 1000)
TEXT = st.text(string.printable, max_size=8)
ADDRESSES = st.fixed_dictionaries({"street": TEXT}, optional={"number": st.integers(1, 99)}).map(
    lambda one: {"number": 1} | one
)

# annotation, JSON that fits it, JSON that does not
TYPES: dict[str, tuple[Any, st.SearchStrategy[Any], tuple[Any, ...]]] = {
    "int": (int, SMALL, ("a", 1.5, None, [], {})),
    "float": (float, st.floats(-1e6, 1e6), ("a", None, [])),
    "str": (str, TEXT, (1, None, [], True)),
    "bool": (bool, st.booleans(), ("maybe", None, 7, [])),
    "None or int": (int | None, st.none() | SMALL, ("a", [], 1.5)),
    "int or str": (int | str, SMALL | TEXT, (None, [], {})),
    "Literal": (Literal["a", "b"], st.sampled_from(["a", "b"]), ("c", None, 1)),
    "Enum": (Color, st.sampled_from(["red", "blue"]), ("RED", None, 0)),
    "list": (list[int], st.lists(SMALL, max_size=4), ({}, "a", [None], ["a"])),
    "set": (set[str], st.lists(TEXT, unique=True, max_size=4), ({}, [1], None)),
    "tuple": (tuple[int, str], st.tuples(SMALL, TEXT).map(list), ([], [1], [1, "a", 2], ["a", 1])),
    "long tuple": (tuple[int, ...], st.lists(SMALL, max_size=4), (["a"], {}, None)),
    "dict": (dict[str, int], st.dictionaries(TEXT, SMALL, max_size=3), ([], {"a": "b"}, None)),
    "bounded": (Annotated[int, Field(ge=1, le=9)], st.integers(1, 9), (0, 10, "a")),
    "pattern": (Annotated[str, Field(pattern="^[a-z]+$")], st.sampled_from(["a", "bc"]), ("A", "", "a1")),
    "long enough": (
        Annotated[list[int], Field(min_length=2)],
        st.lists(SMALL, min_size=2, max_size=4),
        ([1],),
    ),
    "model": (Address, ADDRESSES, ({}, {"street": 1, "number": 1}, {"street": "a", "number": 0}, [])),
    "nested model": (
        Person,
        st.fixed_dictionaries({"name": TEXT, "home": ADDRESSES}),
        ({"name": "a"}, {"name": "a", "home": {}}, {"name": "a", "home": {"street": "b"}, "friends": [1]}),
    ),
    "list of models": (list[Address], st.lists(ADDRESSES, max_size=2), ([{}], [None], {})),
    "dataclass": (
        Point,
        st.fixed_dictionaries({"x": st.floats(-9, 9)}, optional={"y": st.floats(-9, 9)}),
        ({}, {"x": "a"}, [1, 2]),
    ),
    "TypedDict": (
        Options,
        st.fixed_dictionaries({"deep": st.booleans()}, optional={"depth": SMALL}),
        ({}, {"deep": 7}, {"deep": True, "depth": "a"}, {"deep": True, "other": 1}),
    ),
    "NamedTuple": (Pair, st.tuples(TEXT, SMALL).map(list), ([], ["a", "b"], ["a", 1, 2])),
}

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | SMALL | st.floats(-1e6, 1e6) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", TYPES)
def test_schema_and_function_accept_what_fits_the_annotation(name: str) -> None:
    annotation, fitting, _ = TYPES[name]
    signature = taking(annotation)
    Draft202012Validator.check_schema(signature.schema)

    @settings(max_examples=25, deadline=None)
    @given(fitting)
    def check(value: Any) -> None:
        assert schema_accepts(signature, {"value": value})
        assert function_accepts(signature, {"value": value})

    check()


@pytest.mark.parametrize("name", TYPES)
def test_schema_and_function_refuse_what_does_not_fit(name: str) -> None:
    annotation, _, unfit = TYPES[name]
    signature = taking(annotation)
    for arguments in ({}, {"value": unfit[0], "extra": 1}, *({"value": value} for value in unfit)):
        assert not schema_accepts(signature, arguments), arguments
        assert not function_accepts(signature, arguments), arguments


@pytest.mark.parametrize("name", TYPES)
def test_function_accepts_whatever_its_schema_accepts(name: str) -> None:
    annotation, fitting, _ = TYPES[name]
    signature = taking(annotation)

    @settings(max_examples=40, deadline=None)
    @given(JSON_VALUES | fitting)
    def check(value: Any) -> None:
        if schema_accepts(signature, {"value": value}):
            assert function_accepts(signature, {"value": value})

    check()


@pytest.mark.parametrize(
    ("annotation", "raw", "value"),
    [
        (Color, "red", Color.RED),
        (Point, {"x": 1}, Point(1.0)),
        (Pair, ["a", 2], Pair("a", 2)),
        (set[int], [1, 2], {1, 2}),
        (frozenset[int], [1], frozenset({1})),
        (tuple[int, str], [1, "a"], (1, "a")),
        (bytes, "abc", b"abc"),
        (date, "2026-07-28", date(2026, 7, 28)),
        (datetime, "2026-07-28T10:00:00", datetime(2026, 7, 28, 10)),  # noqa: DTZ001 - as it was sent
        (time, "10:30:00", time(10, 30)),
        (timedelta, "PT90S", timedelta(seconds=90)),
        (Decimal, "1.10", Decimal("1.10")),
        (UUID, "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        (Path, "a/b", Path("a/b")),
        (Any, {"a": [1]}, {"a": [1]}),
        (object, [1], [1]),
        (Annotated[int | None, Field(ge=2)], None, None),
    ],
)
def test_arguments_arrive_as_the_type_of_the_annotation(annotation: Any, raw: Any, value: Any) -> None:
    signature = taking(annotation)
    Draft202012Validator.check_schema(signature.schema)
    assert schema_accepts(signature, {"value": raw})
    assert signature.arguments(json.dumps({"value": raw}).encode()) == {"value": value}


def test_dates_say_their_format() -> None:
    formats = [
        taking(kind).schema["properties"]["value"]["format"] for kind in (date, datetime, time, UUID, bytes)
    ]
    assert formats == ["date", "date-time", "time", "uuid", "binary"]


def test_defaults_stay_with_the_function() -> None:
    def f(a: int, b: list[int] = [], *, c: Color = Color.RED) -> None:  # noqa: B006 - what authors write
        """Do."""

    signature = signature_of(f)
    assert signature.arguments(b'{"a":1}') == {"a": 1}
    assert signature.schema["required"] == ["a"]
    assert signature.schema["properties"]["c"]["default"] == "red"
    assert schema_accepts(signature, {"a": 1})


def test_a_default_in_the_annotation_is_passed_where_the_function_has_none() -> None:
    def f(
        a: Annotated[int, Field(default=5)], b: Annotated[list[str], Field(default_factory=lambda: ["x"])]
    ) -> None:
        """Do."""

    signature = signature_of(f)
    assert signature.arguments(b"{}") == {"a": 5, "b": ["x"]}
    assert "required" not in signature.schema


def test_any_python_name_can_be_a_parameter() -> None:
    def f(  # noqa: PLR0917 - as many odd names as there are
        schema: int,
        json: int,
        _x: int,
        __y: int,
        model_config: int,
        p0: int,
        copy: int,
        func: int,
        values: int,
        größe: int,  # noqa: PLC2401
    ) -> int:
        """Do."""
        return schema

    signature = signature_of(f)
    names = list(signature.schema["properties"])
    assert names == [name for name in f.__annotations__ if name != "return"]
    arguments = {name: number for number, name in enumerate(names)}
    assert signature.arguments(json.dumps(arguments).encode()) == arguments


def test_a_parameter_may_be_called_self() -> None:
    def f(this: Any, self: int) -> None:
        """Do."""

    signature = read_signature(f, where="Shop.f", inject=Context, method=True)
    assert signature.arguments(b'{"self":1}') == {"self": 1}


def test_unnumbered_names_of_the_model_are_not_accepted() -> None:
    signature = taking(int)
    assert not function_accepts(signature, {"p0": 1})
    assert not function_accepts(signature, {"value": 1, "p0": 1})


def star(*names: str) -> None:
    """Do."""


def stars(**names: str) -> None:
    """Do."""


def positional(a: int, /) -> None:
    """Do."""


@pytest.mark.parametrize("function", [star, stars, positional])
def test_parameters_without_a_name_for_clients_are_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(DefinitionError, match=r"Shop\.f: .* cannot be passed by name"):
        signature_of(function)


def test_the_context_is_hidden_from_clients_wherever_it_stands() -> None:
    def f(a: int, it: Context, b: int = 0) -> None:
        """Do."""

    signature = signature_of(f)
    assert (signature.context, signature.parameters) == ("it", ("a", "b"))
    assert not function_accepts(signature, {"a": 1, "it": {}})


def google(word: str, limit: int = 3) -> str:
    """Find a word.

    It looks everywhere.

    Args:
        word: The word,
            in any case.
        limit (int): Most results.

    Returns:
        What was found.

    Raises:
        ValueError: Nothing was found.
    """
    return word * limit


def numpy(word: str, limit: int = 3) -> str:
    """Find a word.

    It looks everywhere.

    Parameters
    ----------
    word : str
        The word,
        in any case.
    limit : int, optional
        Most results.

    Returns
    -------
    str
        What was found.
    """
    return word * limit


def rest(word: str, limit: int = 3) -> str:
    """Find a word.

    It looks everywhere.

    :param word: The word,
        in any case.
    :param limit: Most results.
    :returns: What was found.
    """
    return word * limit


@pytest.mark.parametrize("function", [google, numpy, rest])
def test_descriptions_come_from_the_docstring_in_any_style(function: Callable[..., Any]) -> None:
    signature = signature_of(function)
    said = {name: schema["description"] for name, schema in signature.schema["properties"].items()}
    assert said == {"word": "The word, in any case.", "limit": "Most results."}
    assert signature.description == "Find a word.\n\nIt looks everywhere."


def test_a_description_in_the_annotation_wins_over_the_docstring() -> None:
    def f(
        word: Annotated[str, Field(description="From the field.")], other: Annotated[int, Field(ge=1)]
    ) -> None:
        """Do.

        Args:
            word: From the docstring.
            other: Also from the docstring.
        """

    properties = signature_of(f).schema["properties"]
    assert properties["word"]["description"] == "From the field."
    assert properties["other"] == {"description": "Also from the docstring.", "minimum": 1, "type": "integer"}


def titles(schema: Any) -> list[Any]:
    if isinstance(schema, list):
        return [title for part in schema for title in titles(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema["title"]] if isinstance(schema.get("title"), str) else []
    return own + [title for part in schema.values() for title in titles(part)]


@pytest.mark.parametrize("name", TYPES)
def test_schemas_carry_no_titles(name: str) -> None:
    assert titles(taking(TYPES[name][0]).schema) == []


def test_a_parameter_called_title_is_kept() -> None:
    def f(title: str, inner: dict[str, Address]) -> None:
        """Do."""

    assert set(signature_of(f).schema["properties"]) == {"title", "inner"}


def test_what_does_not_fit_is_named_with_its_place_and_value() -> None:
    with pytest.raises(ToolError) as refusal:
        taking(Person).arguments(b'{"value":{"name":"a","home":{"street":"b","number":0}},"more":1}')
    said = str(refusal.value)
    assert "value.home.number" in said
    assert "got 0" in said
    assert "more" in said
    assert "pydantic" not in said


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ToolError) as refusal:
        taking(int).arguments(json.dumps({"value": "x" * 10_000}).encode())
    assert len(str(refusal.value)) < 300


def test_arguments_that_are_texts_are_converted() -> None:
    def f(page: int, deep: bool = False) -> None:  # noqa: FBT001, FBT002 - of a URI
        """Do."""

    assert signature_of(f).arguments({"page": "3", "deep": "true"}) == {"page": 3, "deep": True}
