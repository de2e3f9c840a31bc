"""Rows and encoders that the retrieval tests share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.types import Parameter

if TYPE_CHECKING:
    from scopedtools.types import Vectors


@dataclass(frozen=True)
class Row:
    name: str
    description: str = ""
    title: str | None = None
    examples: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    group: str = ""
    requires: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def parameters(self) -> Iterable[Parameter]:
        yield from (Parameter(name, description, required=True) for name, description in self.inputs)
        yield from map(Parameter, self.options)


SHOP = (
    Row("find_books", "Find books whose title contains the given words.", inputs=(("title", ""),)),
    Row("order_book", "Order one copy of a book.", examples=("buy the new Le Guin for me",)),
    Row("cancel_order", "Cancel an order that has not been sent."),
    Row("send_email", "Send an email message to a person.", inputs=(("recipient", ""), ("body", ""))),
    Row("get_weather", "Weather forecast for a city.", examples=("will it rain in Oslo", "how warm is it")),
    Row("convert_currency", "Convert an amount of money into another currency."),
)
ALL = (1 << len(SHOP)) - 1
COSTS = (100,) * len(SHOP)


class CountingEncoder(HashingEncoder):
    """Remembers what it was asked, and fails on demand."""

    def __init__(self, dimensions: int = 64, *, fails: bool = False) -> None:
        super().__init__(dimensions)
        self.fails = fails
        self.queries: list[tuple[str, ...]] = []
        self.documents: list[str] = []

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self.queries.append(tuple(texts))
        if self.fails:
            raise RuntimeError("the model is broken")
        return super().encode_queries(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        self.documents.extend(texts)
        return super().encode_documents(texts)
