"""What PostgreSQL does: tables, and one statement for each step that has to be one.

The names of the tables end with the number of their layout and that of records, so that replicas of two
releases can use the same database side by side; what is kept in the other layout is chosen again.
"""

# ruff: noqa: S608 - statements are put together from constants

from __future__ import annotations

from typing import Final

from scopedtools.stores.records import LAYOUT

_CONTEXTS: Final = f"scopedtools_contexts_{LAYOUT}"
_VALUES: Final = f"scopedtools_values_{LAYOUT}"

LOCK: Final = 0x5C0BED_C0D17 + LAYOUT
"""Held while the tables are made, so that replicas which start together make them once."""

ARE_THERE: Final = f"SELECT to_regclass('{_VALUES}') IS NOT NULL"

# A context with values has a row of its own among the contexts, under another kind of key, without a record.
# Its `life` changes when it comes back after it was over, which leaves the values of its former life behind.
MAKE: Final = f"""
CREATE TABLE IF NOT EXISTS {_CONTEXTS} (
    key bytea PRIMARY KEY,
    owner bytea,
    record bytea,
    life bigint NOT NULL DEFAULT 0,
    used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS {_CONTEXTS}_owned ON {_CONTEXTS} (owner, used_at) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS {_CONTEXTS}_expiring ON {_CONTEXTS} (expires_at);
CREATE TABLE IF NOT EXISTS {_VALUES} (
    key bytea REFERENCES {_CONTEXTS} ON DELETE CASCADE,
    name bytea,
    value bytea NOT NULL,
    life bigint NOT NULL,
    ends_at timestamptz,
    PRIMARY KEY (key, name)
);
"""

_ENDS: Final = "clock_timestamp() + make_interval(secs => %(ttl_s)s)"

GET: Final = f"""
SELECT record, used_at < now() - make_interval(secs => %(touch_s)s)
FROM {_CONTEXTS} WHERE key = %(key)s AND expires_at > now()
"""

TOUCH: Final = f"""
UPDATE {_CONTEXTS} SET used_at = clock_timestamp(), expires_at = {_ENDS}
WHERE key = %(key)s AND expires_at > now()
"""

# ON CONFLICT DO NOTHING would return no row to those who come while another one inserts it. That the row is
# new shows in xmax. What makes room is chosen without waiting for others that make room at the same time.
_ADDED: Final = f"""
added AS (
    INSERT INTO {_CONTEXTS} AS kept (key, owner, record, used_at, expires_at)
    VALUES (%(key)s, %(owner)s, %(record)s, clock_timestamp(), {_ENDS})
    ON CONFLICT (key) DO UPDATE SET
        record = CASE WHEN kept.expires_at > now() THEN kept.record ELSE excluded.record END,
        life = CASE WHEN kept.expires_at > now() THEN kept.life ELSE kept.life + 1 END,
        used_at = excluded.used_at,
        expires_at = excluded.expires_at
    RETURNING record, xmax = 0 AS is_new
),
evicted AS (
    DELETE FROM {_CONTEXTS} USING (
        SELECT key FROM {_CONTEXTS} WHERE (SELECT is_new FROM added) AND key IN (
            SELECT key FROM {_CONTEXTS} WHERE owner = %(owner)s AND key <> %(key)s
            ORDER BY used_at DESC OFFSET %(others)s LIMIT 100
        ) FOR UPDATE SKIP LOCKED
    ) AS oldest
    WHERE {_CONTEXTS}.key = oldest.key
)
"""

ADD: Final = f"WITH {_ADDED} SELECT record FROM added"

REPLACE: Final = f"""
UPDATE {_CONTEXTS} SET record = %(after)s, used_at = clock_timestamp(), expires_at = {_ENDS}
WHERE key = %(key)s AND record = %(before)s AND expires_at > now()
"""

_IS_LIVE: Final = "{values}.life = {contexts}.life AND ({values}.ends_at IS NULL OR {values}.ends_at > now())"
_LIVE: Final = _IS_LIVE.format(values="v", contexts="c")

GET_VALUE: Final = f"""
SELECT v.value, c.used_at < now() - make_interval(secs => %(touch_s)s)
FROM {_CONTEXTS} AS c LEFT JOIN {_VALUES} AS v ON v.key = c.key AND v.name = %(name)s AND {_LIVE}
WHERE c.key = %(key)s AND c.expires_at > now()
"""

VALUE_NAMES: Final = f"""
SELECT v.name, c.used_at < now() - make_interval(secs => %(touch_s)s)
FROM {_CONTEXTS} AS c LEFT JOIN {_VALUES} AS v ON v.key = c.key AND {_LIVE}
WHERE c.key = %(key)s AND c.expires_at > now()
"""

DELETE_VALUE: Final = f"DELETE FROM {_VALUES} WHERE key = %(key)s AND name = %(name)s"

# Three statements of one transaction. The first locks the row of the context, so the others see what those
# have kept who came before.
PUT_BEGIN: Final = ADD

PUT_CLEAR: Final = f"""
DELETE FROM {_VALUES} AS v USING {_CONTEXTS} AS c WHERE c.key = %(key)s AND v.key = c.key AND NOT ({_LIVE})
"""

_PUT: Final = f"""
INSERT INTO {_VALUES} AS kept (key, name, value, life, ends_at)
SELECT c.key, %(name)s, %(value)s, c.life, clock_timestamp() + make_interval(secs => %(own_ttl_s)s)
FROM {_CONTEXTS} AS c
WHERE c.key = %(key)s AND ({{is_kept}}(
    SELECT count(*) < %(max_values)s
        AND coalesce(sum(octet_length(name) + octet_length(value)), 0) + %(bytes)s <= %(max_values_bytes)s
    FROM {_VALUES} WHERE key = %(key)s AND name <> %(name)s
))
ON CONFLICT (key, name) DO UPDATE SET {{change}}
RETURNING value
"""

PUT_VALUE: Final = _PUT.format(is_kept="", change="value = excluded.value, ends_at = excluded.ends_at")

ADD_VALUE: Final = _PUT.format(
    is_kept=f"EXISTS (SELECT FROM {_VALUES} WHERE key = %(key)s AND name = %(name)s) OR ",
    change="value = kept.value",
)

NOTIFY: Final = "SELECT pg_notify(%(channel)s, %(payload)s)"

EXPIRE: Final = f"""
DELETE FROM {_CONTEXTS} USING (
    SELECT key FROM {_CONTEXTS} WHERE expires_at <= now()
    ORDER BY expires_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
) AS over
WHERE {_CONTEXTS}.key = over.key
"""
