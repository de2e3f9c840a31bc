"""What a hosted server is made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scopedtools.cli.described import CatalogFile
from scopedtools.cli.openapi import ApiOptions
from scopedtools.cli.target import TargetError, load_server
from scopedtools.server import ScopedServer

if TYPE_CHECKING:  # they need extras
    from scopedtools.gateway import Gateway
    from scopedtools.openapi import OpenApi


class Origin(NamedTuple):
    """A server of the author's own, and what is mounted in it; or what is mounted alone.

    Attributes:
        target: The server, as ``module:attribute``, or ``None`` for an empty one.
        configs: Files with ``mcpServers``, which are fronted.
        api: An API whose operations are served.
        index_dir: Where a server that is not the author's own keeps its index; by default where the first
            gateway keeps what it knows.
        catalog: A JSON-lines file of tools that are described, such as to be found and listed.
    """

    target: str | None = None
    configs: tuple[str, ...] = ()
    api: ApiOptions | None = None
    index_dir: str | None = None
    catalog: str | None = None

    def load(self) -> ScopedServer:
        """Import or make the server, and mount the rest.

        Raises:
            ScopedToolsError: There is nothing to host, or something of it cannot be read.
        """
        if self.target is None and not self.configs and self.api is None and self.catalog is None:
            raise TargetError(
                "say what to serve: module:attribute, --config mcp.json, --openapi with --base-url, "
                "--catalog tools.jsonl, or several of them"
            )
        if self.target is not None and self.index_dir is not None:
            raise TargetError("--index-dir is not for a server of your own: give it index_dir= instead")
        gateways, api = self._gateways(), self.api.load() if self.api is not None else None
        described = CatalogFile(self.catalog) if self.catalog is not None else None
        if self.target is not None:
            server = load_server(self.target)
        else:
            server = _empty(gateways, api, Path(self.index_dir) if self.index_dir is not None else None)
        for source in (*gateways, api, described):
            if source is not None:
                server.mount(source)
        return server

    def _gateways(self) -> list[Gateway]:
        if not self.configs:
            return []
        from scopedtools.gateway import Gateway  # noqa: PLC0415 - needs an extra

        return [Gateway(config) for config in self.configs]


def _empty(gateways: Sequence[Gateway], api: OpenApi | None, index_dir: Path | None) -> ScopedServer:
    if api is not None and not gateways:
        # What the API says of itself is what clients are told about the server.
        told = {"__doc__": api.description} if api.description else {}
        kind: type[ScopedServer] = type("ApiServer", (ScopedServer,), told)
        return kind(name=api.title, index_dir=index_dir)
    kept = next((one.config.state_dir for one in gateways if one.config.state_dir is not None), None)
    if index_dir is None and kept is not None:
        index_dir = kept / "index"
    return ScopedServer(name="gateway" if gateways else "catalog", index_dir=index_dir)
