"""A workbench of several hundred tools that need no network, hosted whole and shown a few at a time.

Settings from the environment:

- ``WORKBENCH_DIR``: the folder in which file and database tools work, ``workbench-files`` by default.
- ``WORKBENCH_INDEX``: where the index is kept, ``indexes/workbench`` by default.
- ``WORKBENCH_TOKENS``: ``name=token`` pairs, separated by commas. Where it is set, callers need one.
"""

import os
from typing import Final

from examples.workbench import sandbox
from examples.workbench.tools import (
    colors,
    compression,
    csv_tools,
    dates,
    decimals,
    encoding,
    files,
    finance,
    geometry,
    hashing,
    integers,
    json_tools,
    linalg,
    networks,
    parsing,
    regex,
    sampling,
    science,
    sequences,
    sqlite_tools,
    stats,
    text,
    toml_ini,
    unicode,
    units,
    urls,
    xml_html,
)
from scopedtools import Principal, ScopedServer, prompt, resource, tools_from
from scopedtools.auth import StaticTokens

WRONG_INPUT: Final = (ValueError, ArithmeticError, LookupError)
"""What the tools raise for arguments that make no sense; the model reads the message."""


class Workbench(ScopedServer):
    """Small, exact tools for data, text, numbers, dates, networks, files and databases.

    File and database tools work in one sandbox folder; give them paths relative to it.
    """

    statistics = tools_from(stats, tags={"statistics"}, errors=WRONG_INPUT, read_only=True)
    linear_algebra = tools_from(linalg, tags={"linear algebra"}, errors=WRONG_INPUT, read_only=True)
    integers = tools_from(integers, tags={"integers"}, errors=WRONG_INPUT, read_only=True)
    decimals = tools_from(decimals, tags={"exact decimals"}, errors=WRONG_INPUT, read_only=True)
    sequences = tools_from(sequences, tags={"lists and records"}, errors=WRONG_INPUT, read_only=True)
    sampling = tools_from(sampling, tags={"random sampling"}, errors=WRONG_INPUT, read_only=True)
    dates = tools_from(dates, tags={"dates and times"}, errors=WRONG_INPUT, read_only=True)
    units = tools_from(units, tags={"units"}, errors=WRONG_INPUT, read_only=True)
    geometry = tools_from(geometry, tags={"geometry"}, errors=WRONG_INPUT, read_only=True)
    finance = tools_from(finance, tags={"finance"}, errors=WRONG_INPUT, read_only=True)
    science = tools_from(science, tags={"science"}, errors=WRONG_INPUT, read_only=True)
    text = tools_from(text, tags={"text"}, errors=WRONG_INPUT, read_only=True)
    regex = tools_from(regex, tags={"regular expressions"}, errors=WRONG_INPUT, read_only=True)
    unicode = tools_from(unicode, tags={"unicode"}, errors=WRONG_INPUT, read_only=True)
    json = tools_from(json_tools, tags={"json"}, errors=WRONG_INPUT, read_only=True)
    csv = tools_from(csv_tools, tags={"csv"}, errors=WRONG_INPUT, read_only=True)
    xml = tools_from(xml_html, tags={"xml and html"}, errors=WRONG_INPUT, read_only=True)
    settings = tools_from(toml_ini, tags={"toml and ini"}, errors=WRONG_INPUT, read_only=True)
    encoding = tools_from(encoding, tags={"encodings"}, errors=WRONG_INPUT, read_only=True)
    hashing = tools_from(hashing, tags={"hashing"}, errors=WRONG_INPUT, read_only=True)
    compression = tools_from(compression, tags={"compression"}, errors=WRONG_INPUT)
    urls = tools_from(urls, tags={"urls"}, errors=WRONG_INPUT, read_only=True)
    networks = tools_from(networks, tags={"ip networks"}, errors=WRONG_INPUT, read_only=True)
    files = tools_from(files, tags={"files"}, errors=WRONG_INPUT)
    sqlite = tools_from(sqlite_tools, tags={"sqlite"}, errors=WRONG_INPUT)
    parsing = tools_from(parsing, tags={"parsing"}, errors=WRONG_INPUT, read_only=True)
    colors = tools_from(colors, tags={"colours"}, errors=WRONG_INPUT, read_only=True)

    @resource("workbench://tags", mime_type="application/json")
    async def tag_sizes(self) -> dict[str, int]:
        """How many tools there are of each sort."""
        return dict(self.catalog.tags)

    @resource("workbench://sandbox", mime_type="application/json")
    def sandbox_files(self) -> list[str]:
        """The files in the sandbox folder."""
        return [sandbox.shown(path) for path in sandbox.walk(sandbox.root()) if path.is_file()]

    @resource("sandbox://{+path}", errors=WRONG_INPUT)
    def sandbox_file(self, path: str) -> bytes:
        """A file of the sandbox folder."""
        return sandbox.read_bytes(path)

    @prompt(tags={"csv", "statistics"})
    async def compare_groups(self, file_a: str, file_b: str, column: str) -> str:
        """Compare one column of two CSV files and test whether the means differ.

        Args:
            file_a: First file, relative to the sandbox.
            file_b: Second file, relative to the sandbox.
            column: Name of a numeric column that both have.
        """
        return (
            f"Read the column {column!r} of {file_a} and of {file_b}, describe both, test whether their "
            "means differ (Welch), and say in one sentence what that shows."
        )

    @prompt(tags={"ip networks"})
    async def plan_subnets(self, network: str, sites: int) -> str:
        """Divide a network among sites.

        Args:
            network: In CIDR notation, such as 10.0.0.0/16.
            sites: How many equal parts are needed.
        """
        return (
            f"Split {network} into {sites} equal subnets. For each give the network, the broadcast address "
            "and the number of usable hosts; check that none overlap."
        )

    @prompt(tags={"sqlite"})
    async def explore_database(self, path: str) -> str:
        """Get to know a SQLite file.

        Args:
            path: Of the database, relative to the sandbox.
        """
        return f"List the tables of {path}, their columns and row counts, and show three rows of each."


def _verifier() -> StaticTokens | None:
    pairs = [pair.partition("=") for pair in os.environ.get("WORKBENCH_TOKENS", "").split(",") if pair]
    return (
        StaticTokens({token.strip(): Principal(name.strip()) for name, _, token in pairs}) if pairs else None
    )


app = Workbench(
    name="workbench",
    version="1.0",
    index_dir=os.environ.get("WORKBENCH_INDEX", "indexes/workbench"),
    verifier=_verifier(),
)
