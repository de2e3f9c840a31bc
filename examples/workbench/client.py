"""Two units of work at one workbench get two short lists that fit them.

Run: python -m examples.workbench.client
"""

import asyncio

from examples.workbench.server import Workbench
from scopedtools.testing import Client

MEANS = "compare two CSV files and test whether the means differ"
SUBNETS = "work out which subnets overlap and print their broadcast addresses"


async def names(client: Client) -> list[str]:
    """Return the names of the tools that a client is shown."""
    return [tool["name"] for tool in await client.list_tools()]


async def main() -> None:
    """List, search and call in two contexts and without one; check what comes back."""
    bench = Workbench(name="workbench", index_dir="indexes/workbench")
    async with (
        Client(bench, context="study", intent=MEANS) as study,
        Client(bench, context="network", intent=SUBNETS) as network,
        Client(bench) as plain,
    ):
        first = await names(study)
        assert {"csv_file_compare", "welch_t_test"} <= set(first)
        second = await names(network)
        assert {"subnet_overlaps", "broadcast_address"} <= set(second)
        assert max(len(first), len(second)) <= 20
        assert first[:2] == second[:2] == ["search_tools", "call_tool"]

        overlaps = await network.call_tool("subnet_overlaps", networks=["10.0.0.0/16", "10.0.9.0/24"])
        assert "isError" not in overlaps
        # Not in its list, and callable all the same.
        hidden = await network.call_tool("arithmetic_mean", data=[1, 2, 6])
        assert hidden["structuredContent"] == {"result": 3.0}

        assert await names(study) == first
        assert await asyncio.gather(*(names(network) for _ in range(8))) == [second] * 8
        everything = await names(plain)
        assert len(everything) > 300

    print(f"workbench: {len(first)} and {len(second)} of {len(everything)} tools, all checks passed")


if __name__ == "__main__":
    asyncio.run(main())
