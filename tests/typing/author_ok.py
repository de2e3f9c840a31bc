"""What an author writes, in all its forms. Never run, only type-checked: every line must pass."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.routing import Mount

from scopedtools import (
    Catalog,
    Context,
    Principal,
    ScopedServer,
    ToolError,
    View,
    ViewSettings,
    prompt,
    resource,
    tool,
    tools_from,
)
from scopedtools.context.carriers import CARRIERS, Carrier
from scopedtools.context.store import MemoryStore
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.types import Selector, TokenVerifier


@dataclass
class Book:
    title: str
    copies: int


def convert(amount: float, to: str) -> float:
    """Convert an amount of money."""
    return amount if to == "EUR" else 2 * amount


class Tokens:
    async def verify(self, token: str) -> Principal | None:
        return Principal("ada", frozenset({"orders"})) if token else None


class Bookshop(ScopedServer):
    """Search the shelves and manage orders."""

    money = tools_from([convert], prefix="money_", tags={"money"}, errors=(ValueError,), read_only=True)

    def __init__(self, shelves: dict[str, int], selector: Selector | None = None) -> None:
        verifier: TokenVerifier = Tokens()
        super().__init__(
            name="bookshop",
            version="1.0",
            catalog=Catalog(),
            selector=selector or HybridSelector(HashingEncoder()),
            store=MemoryStore(max_contexts=10, ttl_s=60),
            views=ViewSettings(rows={"tool": 8}, without_context="search", enforce=False),
            carriers=[Carrier("header", "X-Work"), *CARRIERS],
            secret=b"shared",
            verifier=verifier,
        )
        self.shelves = shelves

    @tool
    async def find_books(self, title: str, limit: int = 10) -> list[Book]:
        """Find books."""
        return [Book(name, copies) for name, copies in self.shelves.items() if title in name][:limit]

    @tool(tags={"orders"}, examples=["buy the new Le Guin for me"], pinned=True, errors=(KeyError,))
    def order_book(self, title: str, ctx: Context) -> str:
        """Order a book."""
        if not self.shelves[title]:
            raise ToolError(f"there is no copy of {title!r}")
        return f"{ctx.principal.name} ordered {title}"

    @resource("shelf://{title}", mime_type="application/json", errors=(KeyError,))
    async def shelf(self, title: str) -> Book:
        """One title."""
        return Book(title, self.shelves[title])

    @prompt
    def recommend(self, mood: str = "curious") -> str:
        """Ask for a book."""
        return mood

    @prompt(title="Recommend two")
    async def recommend_two(self) -> list[str]:
        """Ask for two books."""
        return ["one", "two"]

    async def permitted(self, ctx: Context, rows: View) -> View:
        rows = await super().permitted(ctx, rows)
        orders = rows.tagged("orders") | rows.named("order_book")
        return rows if ctx.principal.has("orders") else rows - orders

    async def intent(self, ctx: Context) -> str | None:
        return ctx.headers.get("x-ticket") or await super().intent(ctx)

    async def listed(self, ctx: Context, permitted: View) -> View:
        shown = await super().listed(ctx, permitted)
        return shown.then(permitted.of("prompt")) if len(shown) < 5 else shown & permitted

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with super().lifespan():
            yield


async def call_directly(shop: Bookshop, ctx: Context) -> None:
    books: list[Book] = await shop.find_books("Dune", limit=1)
    said: str = shop.order_book(books[0].title, ctx)
    assert said


app = Bookshop({"Dune": 7})
mounted = Starlette(routes=[Mount("/mcp", app)], lifespan=lambda _: app)
names = [row.name for row in app.catalog.all if row in app.catalog.pinned]
