"""A bookshop: tools, a resource, a prompt and one rule about who may order."""

from dataclasses import asdict, dataclass

from scopedtools import Context, ScopedServer, ToolError, View, prompt, resource, tool


@dataclass
class Book:
    """A title and how many copies are on the shelf."""

    title: str
    copies: int


class Bookshop(ScopedServer):
    """Search the shelves and manage orders."""

    def __init__(self, shelves: dict[str, int]) -> None:
        super().__init__(name="bookshop", version="1.0")
        self.shelves = shelves

    @tool(read_only=True)
    async def find_books(self, title: str, limit: int = 10) -> list[Book]:
        """Find books whose title contains the given words.

        Args:
            title: Words of the title, in any case.
            limit: Most books to return.
        """
        found = [Book(name, copies) for name, copies in self.shelves.items() if title.lower() in name.lower()]
        return found[:limit]

    @tool(tags={"orders"}, examples=["buy the new Le Guin for me"])
    async def order_book(self, title: str, ctx: Context) -> str:
        """Order one copy of a book.

        Args:
            title: The title, in full.
        """
        if not self.shelves.get(title):
            raise ToolError(f"there is no copy of {title!r}; find_books tells what there is")
        self.shelves[title] -= 1
        return f"Ordered {title!r} for {ctx.principal.name}."

    @resource("shelf://{title}", mime_type="application/json")
    async def shelf(self, title: str) -> dict[str, object]:
        """One title and its copies."""
        if title not in self.shelves:
            raise ToolError(f"no such title: {title!r}")
        return asdict(Book(title, self.shelves[title]))

    @prompt
    async def recommend(self, mood: str = "curious") -> str:
        """Ask for a recommendation.

        Args:
            mood: How the reader feels today.
        """
        return f"Recommend one of {', '.join(self.shelves)} to a reader who feels {mood}."

    async def permitted(self, ctx: Context, rows: View) -> View:
        """Refuse orders to those whose context is only for browsing."""
        return rows - rows.tagged("orders") if ctx.id == "window-shopping" else rows


app = Bookshop({"Dune": 7, "Neuromancer": 2})
