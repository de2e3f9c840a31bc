"""Two units of work at one bookshop see and may do different things.

Run: python -m examples.bookshop.client
"""

import asyncio

from examples.bookshop.server import Bookshop
from scopedtools.testing import Client, WireError


async def refused(client: Client, tool: str, **arguments: str) -> int | None:
    """Call a tool that a context may not call, and return the code of the refusal."""
    try:
        await client.call_tool(tool, **arguments)
    except WireError as refusal:
        return refusal.wire_code
    return None


async def main() -> None:
    """Call the bookshop in two contexts and check what comes back."""
    shop = Bookshop({"Dune": 1, "Neuromancer": 2})
    async with Client(shop, context="buying") as buyer, Client(shop, context="window-shopping") as browser:
        assert [row["name"] for row in await buyer.list_tools()] == ["find_books", "order_book"]
        assert [row["name"] for row in await browser.list_tools()] == ["find_books"]

        found = await browser.call_tool("find_books", title="dune")
        assert found["structuredContent"] == {"result": [{"title": "Dune", "copies": 1}]}

        ordered = await buyer.call_tool("order_book", title="Dune")
        assert ordered["content"][0]["text"] == "Ordered 'Dune' for anonymous."
        assert (await buyer.call_tool("order_book", title="Dune"))["isError"]
        assert await refused(browser, "order_book", title="Neuromancer") == -32602

        shelf = await browser.request("resources/read", uri="shelf://Neuromancer")
        assert shelf["contents"][0]["text"] == '{"title":"Neuromancer","copies":2}'
        prompt = await browser.request("prompts/get", name="recommend", arguments={"mood": "bold"})
        assert "bold" in prompt["messages"][0]["content"]["text"]
    print("bookshop: all checks passed")


if __name__ == "__main__":
    asyncio.run(main())
