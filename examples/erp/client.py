"""Two units of work fill in one order form each, with the official client and their first calls side by side.

Run: python -m examples.erp.client
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client

from examples.erp.server import Erp
from scopedtools.client import UnitOfWork, connect
from scopedtools.context.store import MemoryStore

INTENT = "enter a sales order for a customer"


@asynccontextmanager
async def unit_of_work(erp: Erp, context: str, intent: str = INTENT) -> AsyncIterator[Client]:
    """Give a client that names its unit of work on every request."""
    unit = UnitOfWork(id=context, intent=intent, growth=False)  # the whole list at once
    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=erp), timeout=30) as http,
        connect("http://erp/mcp", unit, http_client=http) as client,
    ):
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and return what it gave."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    given: dict[str, Any] = result.structured_content
    return given


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """Call a tool that cannot do it, and return what the model is told."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(getattr(result.content[0], "text", ""))


async def first_batch(client: Client, customer: str, products: list[str]) -> list[dict[str, Any]]:
    """Fill in a form with calls side by side, none of which opened it before."""
    return await asyncio.gather(
        call(client, "set_field", name="customer", value=customer),
        call(client, "set_field", name="delivery_date", value="2026-10-01"),
        *(call(client, "add_line", product=name, quantity=2, price=9.5) for name in products),
    )


async def two_orders(erp: Erp) -> None:
    """Fill in and submit two forms, step by step in turns."""
    async with unit_of_work(erp, "order-ada") as ada, unit_of_work(erp, "order-bob") as bob:
        for_ada, for_bob = await asyncio.gather(
            first_batch(ada, "Ada", ["lamp", "desk"]), first_batch(bob, "Bob", ["chair"])
        )
        forms = {answer["form"] for answer in for_ada}, {answer["form"] for answer in for_bob}
        assert erp.opened == 2, "whatever comes first opens the form, once"
        assert [len(numbers) for numbers in forms] == [1, 1]
        assert forms[0] != forms[1]

        reference = await call(ada, "set_field", name="reference", value="A-17")
        shown = await call(bob, "show_form")
        assert reference["fields"] == {"customer": "Ada", "delivery_date": "2026-10-01", "reference": "A-17"}
        assert shown["fields"] == {"customer": "Bob", "delivery_date": "2026-10-01"}
        assert sorted(line["product"] for line in reference["lines"]) == ["desk", "lamp"]

        first, second = await asyncio.gather(call(bob, "submit_form"), call(ada, "submit_form"))
        assert (first["values"]["customer"], second["values"]["customer"]) == ("Bob", "Ada")
        assert await refused(ada, "submit_form") == (
            "the form is not complete: customer is missing, delivery_date is missing, there is no line"
        )
        found = await call(ada, "find_sales_orders", text="A-17")
        assert [order["number"] for order in found["result"]] == [second["number"]]


async def short_lists(erp: Erp) -> str:
    """Check that each unit of work is shown the few tools that it needs."""
    async with (
        unit_of_work(erp, "list-order") as order,
        unit_of_work(erp, "list-expense", "record an expense of an employee") as expense,
    ):
        shown = {tool.name for tool in (await order.list_tools()).tools}
        others = {tool.name for tool in (await expense.list_tools()).tools}
    total = len(erp.catalog)
    assert total > 110
    assert max(len(shown), len(others)) <= 18
    assert {"set_field", "submit_form", "create_sales_order"} <= shown
    assert {"create_expense", "find_expenses"} <= others
    assert "create_expense" not in shown
    return f"{len(shown)} and {len(others)} of {total} tools"


async def a_form_that_is_lost() -> None:
    """Go on from the draft after a form was closed, and after its process has gone."""
    store, secret = MemoryStore(), b"the same in every process"
    hasty = Erp(form_ttl_s=0.01, store=store, secret=secret)
    async with hasty, unit_of_work(hasty, "order-eve") as eve:
        before = await call(eve, "set_field", name="customer", value="Eve")
        while len(hasty.forms):  # noqa: ASYNC110 - what is waited for is inside the server
            await asyncio.sleep(0.01)
        after = await call(eve, "add_line", product="sofa", quantity=1, price=700)
        assert after["form"] != before["form"]
        assert after["fields"] == {"customer": "Eve"}

    other = Erp(store=store, secret=secret)
    async with other, unit_of_work(other, "order-eve") as eve:
        again = await call(eve, "set_field", name="delivery_date", value="2026-10-02")
        assert again["fields"] == {"customer": "Eve", "delivery_date": "2026-10-02"}
        order = await call(eve, "submit_form")
        assert [line["product"] for line in order["values"]["lines"]] == ["sofa"]
        assert (await call(eve, "show_form"))["fields"] == {}


async def main() -> None:
    """Run all of it."""
    erp = Erp()
    async with erp:
        await two_orders(erp)
        lists = await short_lists(erp)
    await a_form_that_is_lost()
    print(f"erp: {lists}, all checks passed")


if __name__ == "__main__":
    asyncio.run(main())
