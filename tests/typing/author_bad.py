"""What an author may get wrong. Never run, only type-checked: each line that is marked must fail."""

from scopedtools import Context, ScopedServer, View, ViewSettings, prompt, resource, tool, tools_from


class Bookshop(ScopedServer):
    """Mistakes."""

    @tool(read_only="yes")  # expect: call-overload
    async def find_books(self, title: str) -> list[str]:
        """Find books."""
        return [title]

    @tool(tag={"orders"})  # expect: call-overload
    async def order_book(self, title: str) -> str:
        """Order a book."""
        return title

    @tool(errors=ValueError)  # expect: call-overload
    async def return_book(self, title: str) -> str:
        """Return a book."""
        return title

    @tool("find")  # expect: call-overload
    async def seek(self) -> str:
        """Seek."""
        return ""

    @resource  # expect: arg-type
    async def shelf(self) -> str:
        """The shelf."""
        return ""

    @prompt(pinned="always")  # expect: call-overload
    async def recommend(self) -> str:
        """Recommend."""
        return ""

    @tool
    async def count(self, title: str) -> int:
        """Count copies."""
        return len(title)

    money = tools_from(print)  # expect: arg-type

    async def permitted(self, ctx: Context, rows: View) -> list[str]:  # expect: override
        return [row.name for row in rows]

    async def intent(self) -> str | None:  # expect: override
        return None

    def listed(self, ctx: Context, permitted: View) -> View:  # expect: override
        return permitted


async def call_directly(shop: Bookshop, ctx: Context) -> None:
    await shop.count(3)  # expect: arg-type
    count: str = await shop.count("Dune")  # expect: assignment
    ctx.principal.name = "root" if count else ""  # expect: misc
    print(ctx.principal.may("orders"))  # expect: attr-defined  # noqa: T201


ScopedServer(selector=object())  # expect: arg-type
ViewSettings(rows={"tools": 3})  # expect: dict-item
ViewSettings(without_context="none")  # expect: arg-type
ViewSettings(pages=3)  # expect: call-arg
