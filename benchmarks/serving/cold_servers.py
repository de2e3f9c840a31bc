"""Servers that narrow a list to what an intent needs, each run by this Python.

Run: python -m benchmarks.serving.cold_servers KIND TOOLS PORT, with one of `KINDS`
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import uvicorn
from anyio import CapacityLimiter, to_thread

from benchmarks.serving.processes import KEEP_ALIVE_S
from benchmarks.serving.rows import read
from scopedtools import Catalog, ScopedServer, ViewSettings
from scopedtools.catalog.primitives import Tool
from scopedtools.protocol import meta
from scopedtools.retrieval import HybridSelector, OnnxEncoder
from scopedtools.types import Encoder

VECTORS: Final = "vectors.npy"
SHOWN: Final = 16
"""Rows of a narrowed list."""


class Cold(ScopedServer):
    """Has a catalog of tools that only describe."""

    def __init__(self, file: Path, encoder: Encoder) -> None:
        tools = read(file)
        super().__init__(
            name="cold",
            catalog=Catalog(
                Tool(name=one["name"], description=one["description"], input_schema=one["inputSchema"])
                for one in tools
            ),
            selector=HybridSelector(encoder, index_dir=file.parent / encoder.revision),
            views=ViewSettings(rows={"tool": SHOWN - 2}),
        )


def brute_force(file: Path) -> Any:
    """Make what one would write without scopedtools: the official SDK, sentence-transformers and numpy.

    The low-level server, its tools made once; the model as it comes, in a thread, one request at a time. The
    vectors of the tools are in `VECTORS` beside their file.
    """
    import mcp_types as types  # noqa: PLC0415 - seconds, for this server alone
    import torch  # noqa: PLC0415
    from mcp.server.lowlevel import Server  # noqa: PLC0415
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    from scopedtools.retrieval import weights  # noqa: PLC0415

    # One short text on several threads is slower, and many times so where the cores are busy.
    torch.set_num_threads(1)
    model = SentenceTransformer(str(weights.folder_of(weights.DEFAULT_MODEL, None, None)), device="cpu")
    made = [types.Tool.model_validate(one) for one in read(file)]
    vectors = np.load(file.with_name(VECTORS))
    alone = CapacityLimiter(1)

    def nearest(intent: str) -> list[int]:
        scores = vectors @ model.encode(intent, normalize_embeddings=True)
        best = np.argpartition(-scores, SHOWN)[:SHOWN]
        found: list[int] = best[np.argsort(-scores[best])].tolist()
        return found

    async def list_tools(_: Any, params: Any) -> types.ListToolsResult:
        settings = params.meta[meta.CLIENT_CAPABILITIES]["extensions"][meta.EXTENSION]
        found = await to_thread.run_sync(nearest, settings["intent"], limiter=alone)
        return types.ListToolsResult(tools=[made[row] for row in found])

    server: Any = Server("cold", on_list_tools=list_tools)
    return server.streamable_http_app(json_response=True)


KINDS: Final[Mapping[str, Callable[[Path], Any]]] = MappingProxyType(
    {
        "ours": lambda file: Cold(file, OnnxEncoder()),
        "ours, one thread more": lambda file: Cold(file, OnnxEncoder(threads=OnnxEncoder().threads + 2)),
        "ours, int8": lambda file: Cold(file, OnnxEncoder(int8=True)),
        "brute force": brute_force,
    }
)
"""Makes each server from a file of tools by its name. All encode with all-MiniLM-L6-v2."""


def main() -> None:
    """Serve."""
    kind, tools, port = sys.argv[1:]
    app = KINDS[kind](Path(tools))
    uvicorn.run(app, port=int(port), log_level="error", access_log=False, timeout_keep_alive=KEEP_ALIVE_S)


if __name__ == "__main__":
    main()
