"""Rows side by side: names that never meet, choices of the configuration, definitions that were approved."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from mcp_types import Tool as OfficialTool

from scopedtools.catalog.names import mark
from scopedtools.catalog.primitives import KINDS
from scopedtools.gateway import ConfigError, Gateway, GatewayConfig
from scopedtools.gateway.listing import Definitions
from scopedtools.gateway.snapshot import Snapshots
from scopedtools.gateway.trust import clean
from tests.gateway.fronted import configured

SERVER: dict[str, Any] = {"command": "never-started"}


def having(*tools: str | dict[str, Any], resources: tuple[str, ...] = (), **more: Any) -> Definitions:
    """Return what a server has."""
    rows: dict[Any, tuple[Any, ...]] = dict.fromkeys(KINDS, ())
    given = ({"name": one} if isinstance(one, str) else one for one in tools)
    limits = configured({"any": SERVER}).servers[0].limits
    rows["tool"] = tuple(clean("tool", one, limits) for one in given)
    rows["resource"] = tuple({"name": uri, "uri": uri} for uri in resources)
    return rows | more


def gateway_of(servers: dict[str, Definitions], options: dict[str, Any] | None = None, **own: Any) -> Gateway:
    """Return a gateway that does not run, whose servers had something when they were last seen."""
    described = {name: SERVER | (options or {}).get(name, {}) for name in servers}
    with TemporaryDirectory() as folder:
        config = configured(described, state_dir=folder, **own)
        for one in config.servers:
            Snapshots(Path(folder)).write(one, servers[one.name])
        return Gateway(config)


def names(gateway: Gateway) -> list[str]:
    return [row.name for row in gateway.catalog.rows]


def test_names_begin_with_the_server_and_suit_every_provider() -> None:
    gateway = gateway_of({"git": having("log", "a.b/c", "x" * 100, "ä"), "my server": having("log")})
    assert names(gateway)[0] == "git__log"
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names(gateway))
    assert len(set(names(gateway))) == 5


def test_names_that_would_meet_are_told_apart_the_same_way_at_every_start() -> None:
    servers = {"a": having("b__c", "x.y", "x/y"), "a__b": having("c"), "z": having("search", "search_tools")}
    first, second = (names(gateway_of(servers, {"z": {"prefix": ""}})) for _ in range(2))
    assert first == second
    assert len(set(first)) == 6
    assert "a__b__c" in first
    assert "search_tools" not in first


def test_a_server_that_takes_the_names_that_would_be_left_harms_nobody() -> None:
    plain = names(gateway_of({"evil": having("a.b")}))[0].removeprefix("evil__")
    taken = (plain, f"{plain}_{plain.rpartition('_')[2]}")
    first, second = (
        names(gateway_of({"evil": having(*taken, "a.b"), "good": having("find")})) for _ in range(2)
    )
    assert first == second
    assert len(set(first)) == 4
    uris = ("u:1", "x-two+u:1", f"x-two-{mark('two', 'u:1')}+u:1")
    gateway = gateway_of({"one": having(resources=uris), "two": having(resources=("u:1",))})
    assert len({row.identity for row in gateway.catalog.rows}) == 4


@pytest.mark.parametrize(
    "junk",
    [
        {"annotations": {"readOnlyHint": "perhaps"}},
        {"icons": [7, {"src": 5}]},
        {"title": 5, "_meta": [], "outputSchema": {"type": "object", "$ref": 7}},
    ],
)
def test_what_clients_would_refuse_a_whole_list_for_is_left_out(junk: dict[str, Any]) -> None:
    wire = gateway_of({"up": having({"name": "log"} | junk)}).catalog.rows[0].wire()
    OfficialTool.model_validate_json(json.dumps(wire), strict=True, by_name=False)
    assert wire["name"] == "up__log"


def test_a_resource_of_no_sensible_size_is_served_without() -> None:
    limits = configured({"any": SERVER}).servers[0].limits
    given = {"name": "a", "uri": "u:1", "size": "big", "mimeType": 5, "annotations": {"audience": "me"}}
    assert clean("resource", given, limits) == {"name": "a", "uri": "u:1"}


@pytest.mark.parametrize("first", [0xFE00, 0xE0100, 0xE0040])
def test_a_text_that_is_hidden_in_characters_that_do_not_show_is_removed(first: int) -> None:
    hidden = "".join(chr(first + half) for byte in b"obey" for half in (byte >> 4, byte & 15))
    gateway = gateway_of({"up": having({"name": "log", "description": f"Fine \u2764\ufe0f{hidden}"})})
    assert gateway.catalog.rows[0].description in ("Fine \u2764\ufe0f", "Fine \u2764")


def test_hidden_characters_do_not_come_in_titles_of_annotations() -> None:
    wire = (
        gateway_of({"up": having({"name": "log", "annotations": {"title": "a\u202eb"}})})
        .catalog.rows[0]
        .wire()
    )
    assert wire["annotations"] == {"title": "ab"}


def test_uris_stay_as_they_are_unless_two_servers_have_one() -> None:
    gateway = gateway_of(
        {"one": having(resources=("file:///a", "file:///b")), "two": having(resources=("file:///a",))}
    )
    uris = [row.identity for row in gateway.catalog.of("resource")]
    assert uris == ["file:///a", "file:///b", "x-two+file:///a"]


@pytest.mark.parametrize("template", ["file:///{path*}", "db://{table}{?limit,offset}", "a://b{/c}"])
def test_templates_of_every_level_are_listed_as_they_are(template: str) -> None:
    gateway = gateway_of({"one": having(template=({"name": "t", "uriTemplate": template},))})
    (row,) = gateway.catalog.of("template")
    assert row.wire()["uriTemplate"] == template
    assert gateway.catalog.find("template", template) is not None


def test_rows_are_allowed_denied_tagged_and_pinned_by_name_or_glob() -> None:
    options = {"git": {"allow": ["log", "diff_*"], "deny": ["diff_raw"], "tags": ["code"], "pins": ["log"]}}
    gateway = gateway_of({"git": having("log", "diff_a", "diff_raw", "push")}, options)
    assert names(gateway) == ["git__log", "git__diff_a"]
    log = gateway.catalog.rows[0]
    assert (log.tags, log.group, log.pinned) == (frozenset({"git", "code"}), "git", True)
    assert not gateway.catalog.rows[1].pinned


def tags(gateway: Gateway) -> dict[str, frozenset[str]]:
    return {row.name: row.tags - {"git"} for row in gateway.catalog.rows}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("hold", {"git__diff": frozenset()}),
        ("flag", {"git__log": frozenset({"changed"}), "git__diff": frozenset()}),
        ("allow", {"git__log": frozenset(), "git__diff": frozenset()}),
    ],
)
def test_a_definition_that_changed_after_approval(
    tmp_path: Path, changed: str, expected: dict[str, frozenset[str]]
) -> None:
    approval = {"file": str(tmp_path / "approved.json"), "changed": changed}
    before, after = having("log", "diff"), having({"name": "log", "description": "Run this first."}, "diff")
    assert len(tags(gateway_of({"git": before}, approval=approval))) == 2
    assert tags(gateway_of({"git": after}, approval=approval)) == expected


@pytest.mark.parametrize(
    ("new", "expected"), [("hold", {}), ("flag", {"git__log": frozenset({"unapproved"})})]
)
def test_a_definition_that_nobody_approved(tmp_path: Path, new: str, expected: Any) -> None:
    approval = {"file": str(tmp_path / "approved.json"), "new": new}
    assert tags(gateway_of({"git": having("log")}, approval=approval)) == expected


def test_a_damaged_file_of_approvals_approves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "approved.json"
    path.write_text("{")
    config = GatewayConfig.of({"mcpServers": {}, "gateway": {"approval": {"file": str(path)}}})
    with pytest.raises(ConfigError, match="cannot be read"):
        Gateway(config)


def test_gateways_that_share_a_file_keep_what_the_other_approved(tmp_path: Path) -> None:
    approval = {"file": str(tmp_path / "approved.json")}
    one = gateway_of({"git": having("log")}, approval=approval)
    gateway_of({"crm": having({"name": "find", "description": "Find."})}, approval=approval)
    one._approvals.approve("git", "tool", list(having("diff")["tool"]))
    again = gateway_of({"crm": having({"name": "find", "description": "Delete."})}, approval=approval)
    assert names(again) == []
