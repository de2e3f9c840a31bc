"""A small catalog, requests and a dialogue about it, and the command line to run on them."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from scopedtools.cli.app import main

NOUNS = ("invoice", "payment", "refund", "flight", "hotel", "visa", "folder", "document", "archive")
VERBS = ("create", "find", "update", "cancel", "export")

TOOLS = [
    {
        "id": f"{noun}/{verb}",
        "name": verb,
        "server": noun,
        "description": f"{verb.capitalize()} the {noun} of a customer.",
        "input_schema": {"type": "object", "properties": {noun: {"type": "string"}}},
    }
    for noun in NOUNS
    for verb in VERBS
]

QUERIES: list[dict[str, Any]] = [
    {"id": "one", "query": "cancel the hotel", "relevant": ["hotel/cancel"], "kind": "single"},
    {
        "id": "two",
        "query": "find a flight, then export the document",
        "relevant": ["flight/find", "document/export", "flight/find"],
        "kind": "multi",
        "any_of": [["flight/find", "flight/create"], ["document/export"]],
    },
    {"id": "nothing", "query": "zzqq xxyy", "relevant": [], "kind": "single"},
    {"id": "missing", "query": "paint the garden fence", "relevant": ["fence/paint"], "kind": "single"},
    {
        "id": "talk",
        "kind": "dialogue",
        "turns": [
            {"query": "create an invoice", "relevant": ["invoice/create"], "reply": "Done, invoice 7."},
            {"query": "thank you", "relevant": []},
            {"query": "now refund the payment", "relevant": ["refund/create", "payment/cancel"]},
        ],
    },
]


class Done(NamedTuple):
    """What a run of the command left."""

    status: int
    out: str
    err: str
    lines: list[dict[str, Any]]
    summary: dict[str, Any]

    def means(self, group: str = "all") -> dict[str, float]:
        """Return the means of a group by the name of the measure."""
        (found,) = [row for row in self.summary["groups"] if row["name"] == group]
        return {name: mean["value"] for name, mean in found["means"].items()}

    def found(self) -> list[dict[str, Any]]:
        """Return the lines without their times, which differ between runs."""
        return [{key: value for key, value in line.items() if key != "ms"} for line in self.lines]


Evaluate = Callable[..., Done]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    data = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Evaluate:
    """Run the command on files or rows, without a model unless another encoder is named."""

    def run(
        *options: str,
        tools: Sequence[dict[str, Any]] | Path = TOOLS,
        queries: Sequence[dict[str, Any]] | Path = QUERIES,
        encoder: str = "hashing",
    ) -> Done:
        out, summary = tmp_path / "out.jsonl", tmp_path / "summary.json"
        files = [
            rows if isinstance(rows, Path) else write(tmp_path / f"{name}.jsonl", rows)
            for name, rows in (("tools", tools), ("queries", queries))
        ]
        command = ["scopedtools", "evaluate", "--catalog", files[0], "--queries", files[1], "--out", out]
        command += ["--summary", summary, "--encoder", encoder, *options]
        monkeypatch.setattr(sys, "argv", [str(part) for part in command])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Done(
            status=int(ended.value.code or 0),
            out=printed.out,
            err=printed.err,
            lines=list(map(msgspec.json.decode, out.read_bytes().splitlines())) if out.exists() else [],
            summary=msgspec.json.decode(summary.read_bytes()) if summary.exists() else {},
        )

    return run
