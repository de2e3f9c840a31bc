"""A pytest plugin: judges whatever any test makes a server in its own process send.

Run: python -m pytest -p tests.contract.watch
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import pytest
from starlette.types import Receive, Scope, Send

from scopedtools.transports.http import HttpTransport
from scopedtools.transports.stdio import StdioTransport
from tests.contract.extract import schemas_in
from tests.contract.fetch import bundle
from tests.contract.judge import Judges
from tests.contract.recorder import Recorder

SEEN: Final[Counter[tuple[str, str]]] = Counter()

_answer_http = HttpTransport.__call__
_serve_stdio = StdioTransport.serve


@pytest.fixture(scope="session")
def watching() -> Judges:
    return Judges(schemas_in(bundle()))


@pytest.fixture(autouse=True)
def watched(watching: Judges, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test whose server sent what it must not."""
    recorder = Recorder(watching)

    async def answer(self: HttpTransport, scope: Scope, receive: Receive, send: Send) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await _answer_http(self, scope, receive, send)

        await recorder.app(app)(scope, receive, send)

    async def serve(self: StdioTransport, source: BinaryIO, sink: BinaryIO) -> None:
        await _serve_stdio(self, *recorder.pipes(source, sink))

    monkeypatch.setattr(HttpTransport, "__call__", answer)
    monkeypatch.setattr(StdioTransport, "serve", serve)
    yield
    SEEN.update(recorder.seen)
    assert not recorder.problems, "\n\n".join(dict.fromkeys(recorder.problems))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much was judged."""
    revisions = sorted({revision for revision, _ in SEEN})
    for revision in revisions:
        counts = {name: count for (at, name), count in sorted(SEEN.items()) if at == revision}
        terminalreporter.write_line(f"{revision}: {sum(counts.values())} messages, {counts}")
