"""How a hosted server ends: it says so, drains, lets calls finish, tells listeners, and writes all down."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.cli.commanded import COMMAND, LIMIT_S, Served, served
from tests.wire.exchange import ENVELOPE

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals and workers as on Linux"),
]

SERVER = '''
import asyncio
from pathlib import Path

from scopedtools import Context, ScopedServer, ViewSettings, tool


class Kitchen(ScopedServer):
    """Cooks."""

    @tool
    async def cook(self, dish: str) -> str:
        """Cook until it is done."""
        Path(f"{dish}.begun").touch()
        while not Path(f"{dish}.done").exists():
            await asyncio.sleep(0.02)
        return "served"

    @tool
    async def roast(self, ctx: Context) -> str:
        """Roast, and say how far it is; it is never done."""
        await ctx.report_progress(1, 3)
        Path("roast.begun").touch()
        await asyncio.Event().wait()
        return "served"

    @tool
    async def peel(self) -> str:
        """Peel."""
        return "peeled"


app = Kitchen(views=ViewSettings(growth="never"))
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kitchen.py").write_text(SERVER)
    return tmp_path


async def begun(server: Served, http: httpx2.AsyncClient, folder: Path) -> asyncio.Task[dict[str, object]]:
    """Begin a call that lasts."""
    cooking = asyncio.create_task(server.call(http, "cook", dish="soup"))
    await server.until_found(folder / "soup.begun")
    return cooking


def trail(folder: Path) -> str:
    command = [str(COMMAND), "audit", "work-1", "--store", "sqlite:///trail.db"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=LIMIT_S, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_what_is_under_way_when_a_server_is_told_to_stop_is_finished(
    folder: Path, workers: str
) -> None:
    options = ["--workers", workers, "--drain-s", "1.5", "--audit", "sqlite:///trail.db"]
    async with served(folder, "kitchen:app", *options) as server, httpx2.AsyncClient() as http:
        listening = asyncio.create_task(
            server.text(http, "subscriptions/listen", notifications={"toolsListChanged": True})
        )
        cooking = await begun(server, http, folder)
        server.tell(signal.SIGTERM)

        async def unready() -> bool:
            return await server.state() == 503

        await server.until(unready)
        async with httpx2.AsyncClient() as late:  # load balancers have not noticed yet
            peeled = await server.call(late, "peel")
        assert peeled["result"]["content"][0]["text"] == "peeled"
        assert not listening.done()
        await server.until_refused()
        (folder / "soup.done").touch()

        assert (await cooking)["result"]["content"][0]["text"] == "served"  # type: ignore[index]
        *_, last = [line for line in (await listening).splitlines() if line.startswith("data:")]
        assert '"result"' in last
        assert await server.ended() == 0
    written = trail(folder)
    assert [name for name in ("cook", "peel", "subscriptions/listen") if name not in written] == []


async def test_calls_that_do_not_finish_in_time_are_told_so(folder: Path) -> None:
    options = ["--grace-s", "0.2", "--audit", "sqlite:///trail.db"]
    async with served(folder, "kitchen:app", *options) as server, httpx2.AsyncClient() as http:
        cooking = await begun(server, http, folder)
        meta = {**ENVELOPE, "progressToken": "roast"}
        roasting = asyncio.create_task(
            server.text(http, "tools/call", name="roast", arguments={}, _meta=meta)
        )
        await server.until_found(folder / "roast.begun")
        server.tell(signal.SIGTERM)

        answer = await cooking
        assert "server stops" in (await roasting).strip().splitlines()[-1]
        assert "server stops" in answer["error"]["message"]  # type: ignore[index]
        assert answer["id"] == 1
        assert await server.ended() == 0
        assert "Traceback" not in server.said
    assert trail(folder).count("cancelled") == 2


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_whoever_says_stop_twice_is_not_made_to_wait(folder: Path, workers: str) -> None:
    options = ["--workers", workers, "--drain-s", "600", "--grace-s", "600"]
    async with served(folder, "kitchen:app", *options) as server, httpx2.AsyncClient() as http:
        cooking = await begun(server, http, folder)
        server.tell(signal.SIGTERM)

        async def unready() -> bool:
            return await server.state() == 503

        await server.until(unready)
        server.tell(signal.SIGTERM)
        assert "server stops" in (await cooking)["error"]["message"]  # type: ignore[index]
        assert await server.ended() in {0, -signal.SIGTERM}


async def test_a_server_whose_standard_input_is_closed_serves_and_ends_as_any_other(folder: Path) -> None:
    closing = ("sh", "-c", 'exec "$0" "$@" <&-')
    async with served(folder, "kitchen:app", through=closing) as server, httpx2.AsyncClient() as http:
        assert "result" in await server.call(http, "peel")
        server.tell(signal.SIGTERM)
        assert await server.ended() == 0
