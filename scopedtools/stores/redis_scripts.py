"""What Redis does in one step: scripts, each for keys of one slot.

A script gets the key of a context and, where the principal has a quota, the key of a set that orders the
contexts of that principal by their last use. Contexts that make room for another are named by the members of
that set: their keys begin as the key of the context does, so they are in the slot of the script too.

Time is the server's, in microseconds, so that the clocks of replicas do not matter.
"""

from __future__ import annotations

import hashlib
from typing import Final

_EVICTED_AT_ONCE: Final = 100
"""Contexts that one addition removes at most; there are more only where the quota was made smaller."""

_TOUCH: Final = """
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function touch(quota, member, ttl_ms)
  redis.call('ZADD', quota, string.format('%.0f', now_us()), member)
  redis.call('PEXPIRE', quota, ttl_ms)
end
"""

_MAKE_ROOM: Final = f"""
local function make_room(quota, member, ttl_ms, most)
  local prefix = string.sub(KEYS[1], 1, #KEYS[1] - #member)
  redis.call('ZREM', quota, member) -- still there where memory ran out, or time
  redis.call('ZREMRANGEBYSCORE', quota, '-inf', string.format('%.0f', now_us() - ttl_ms * 1000))
  local over = redis.call('ZCARD', quota) - most + 1
  if over > 0 then
    local oldest = redis.call('ZPOPMIN', quota, math.min(over, {_EVICTED_AT_ONCE}))
    for i = 1, #oldest, 2 do redis.call('UNLINK', prefix .. oldest[i]) end
  end
end
"""


class Script:
    """A script, and the digest that it is called by."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - the digest that Redis uses


GET: Final = Script(
    f"""{_TOUCH}
-- KEYS: record, quota; ARGV: ttl_ms, member
local kept = redis.call('GETEX', KEYS[1], 'PX', ARGV[1])
if kept then touch(KEYS[2], ARGV[2], ARGV[1]) end
return kept
"""
)

ADD: Final = Script(
    f"""{_TOUCH}{_MAKE_ROOM}
-- KEYS: record[, quota]; ARGV: ttl_ms, member, most, new
-- Returns what is kept if it was there, else nothing.
local kept = redis.call('GETEX', KEYS[1], 'PX', ARGV[1])
if not kept then
  if KEYS[2] then make_room(KEYS[2], ARGV[2], ARGV[1], tonumber(ARGV[3])) end
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[1])
end
if KEYS[2] then touch(KEYS[2], ARGV[2], ARGV[1]) end
return kept
"""
)

REPLACE: Final = Script(
    f"""{_TOUCH}
-- KEYS: record[, quota]; ARGV: ttl_ms, member, before, after
if redis.call('GET', KEYS[1]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[1])
if KEYS[2] then touch(KEYS[2], ARGV[2], ARGV[1]) end
return 1
"""
)

# A value is kept behind eight bytes: when it ends, or infinity. Single fields cannot expire before Redis 7.4.
_ENDS: Final = """
local function content(kept, now)
  if kept and struct.unpack('>d', kept) > now then return string.sub(kept, 9) end
  return false
end

local function used(quota, member, ttl_ms)
  if redis.call('PEXPIRE', KEYS[1], ttl_ms) == 1 and quota then touch(quota, member, ttl_ms) end
end
"""

GET_VALUE: Final = Script(
    f"""{_TOUCH}{_ENDS}
-- KEYS: values[, quota]; ARGV: ttl_ms, member, name
used(KEYS[2], ARGV[2], ARGV[1])
return content(redis.call('HGET', KEYS[1], ARGV[3]), now_us())
"""
)

PUT_VALUE: Final = Script(
    f"""{_TOUCH}{_MAKE_ROOM}{_ENDS}
-- KEYS: values[, quota]; ARGV: ttl_ms, member, most, name, value, own ttl_ms or '', 'add' or 'put',
--   most values, most bytes
-- Returns what is kept, or nothing where there is no room.
local now = now_us()
local kept = content(redis.call('HGET', KEYS[1], ARGV[4]), now)
if kept and ARGV[7] == 'add' then
  used(KEYS[2], ARGV[2], ARGV[1])
  return kept
end

local values, bytes = 1, #ARGV[4] + #ARGV[5]
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if name ~= ARGV[4] then
    values, bytes = values + 1, bytes + #name + redis.call('HSTRLEN', KEYS[1], name) - 8
  end
end
if values > tonumber(ARGV[8]) or bytes > tonumber(ARGV[9]) then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if all[i] ~= ARGV[4] and not content(all[i + 1], now) then
      redis.call('HDEL', KEYS[1], all[i])
      values, bytes = values - 1, bytes - #all[i] - #all[i + 1] + 8
    end
  end
  if values > tonumber(ARGV[8]) or bytes > tonumber(ARGV[9]) then return false end
end

if KEYS[2] and redis.call('EXISTS', KEYS[1]) == 0 then
  make_room(KEYS[2], ARGV[2], ARGV[1], tonumber(ARGV[3]))
end
local ends = math.huge
if ARGV[6] ~= '' then ends = now + tonumber(ARGV[6]) * 1000 end
redis.call('HSET', KEYS[1], ARGV[4], struct.pack('>d', ends) .. ARGV[5])
used(KEYS[2], ARGV[2], ARGV[1])
return ARGV[5]
"""
)

VALUE_NAMES: Final = Script(
    f"""{_TOUCH}{_ENDS}
-- KEYS: values[, quota]; ARGV: ttl_ms, member
used(KEYS[2], ARGV[2], ARGV[1])
local now, names = now_us(), {{}}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if content(all[i + 1], now) then names[#names + 1] = all[i] end
end
return names
"""
)
