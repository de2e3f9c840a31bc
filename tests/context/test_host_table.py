"""The table of hosts says of each what is read, and what is not and why."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from scopedtools.context.carriers import CarrierTable
from scopedtools.context.hosts import CARRIERS, HOSTS, Carrier, Host
from scopedtools.protocol.methods import METHODS, CallParams
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import NOVEMBER_2025

UNREAD = [(host.name, key, why) for host in HOSTS for key, why in host.unread.items()]


def test_the_default_carriers_are_those_of_the_hosts_in_their_order() -> None:
    assert list(CARRIERS) == list(dict.fromkeys(one for host in HOSTS for one in host.carriers))


def test_each_carrier_is_one_hosts_by_default() -> None:
    carriers = [carrier for host in HOSTS for carrier in host.carriers]
    assert len(set(carriers)) == len(carriers)
    assert len({host.name for host in HOSTS}) == len(HOSTS)


def test_what_authors_have_to_ask_for_is_no_default() -> None:
    optional = {carrier for host in HOSTS for carrier in host.optional}
    assert optional
    assert not optional & set(CARRIERS)


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_an_id_of_a_process_or_a_connection_comes_with_lists_too(host: Host) -> None:
    assert host.unit == "conversation" or host.on_lists


def test_only_a2a_refuses_and_repeats() -> None:
    assert [one for one in CARRIERS if one.strict or one.echoed] == [
        Carrier("meta", "contextId", strict=True, echoed=True)
    ]


@pytest.mark.parametrize(("host", "key", "why"), UNREAD)
def test_what_names_no_unit_of_work_is_not_read_anywhere(host: str, key: str, why: str) -> None:
    name, _, field = key.partition(".")
    value: Any = {field: "an-id"} if field else "an-id"
    everywhere = CarrierTable([*CARRIERS, *(carrier for one in HOSTS for carrier in one.optional)])
    asked = Request(
        METHODS["tools/call"],
        CallParams(meta={name: value}, name="any", arguments=msgspec.Raw(msgspec.json.encode({name: value}))),
        NOVEMBER_2025,
        Ingress(headers=((name.lower().encode(), b"an-id"),), query=f"{name}=an-id".encode()),
        1,
    )
    assert everywhere.find(asked) is None
    assert why
