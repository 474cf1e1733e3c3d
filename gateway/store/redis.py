"""Responses in a Redis server that several gateways share, each on a host of its own.

All keys begin with `openai-proxy:`

    secret          the key of the hashes of owners; each script looks whether it is still the one that was used
    r:ID            hash, one response: owner, previous, head, input, output, ids of its items
    i:OWNER         hash: which response an item is in, by the item's id; of several, the last
    used            sorted set: ids by the time of their last use
    sizes, bytes    what each counts for, and all of them together

What has to hold together is done by scripts, each of which runs whole or not at all, in one trip. The bounds are
those of the server, over all gateways and owners. Everything expires by itself some time after the last gateway has
left; the keys that tell of others expire before what they tell of. Scripts find keys as they go, so a cluster will
not do. What survives a restart of the server is a matter of its own settings (`appendonly yes`).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway.errors import StoreDown
from gateway.store import Bounds, Found, Kept, SecretChanged, Thread
from gateway.types import JSON

T = TypeVar("T")

_PREFIX = "openai-proxy:"
_CONNECT_SECS, _ANSWER_SECS = 1.0, 1.0
_CONNECTIONS = 32
"""Of one worker; who needs another waits."""

_COMMON = """
local prefix = ARGV[1]
redis.call('SET', prefix .. 'secret', ARGV[2], 'NX')
if redis.call('GET', prefix .. 'secret') ~= ARGV[2] then return redis.error_reply('SECRETCHANGED') end
local used, sizes, bytes = prefix .. 'used', prefix .. 'sizes', prefix .. 'bytes'
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local function response(id) return prefix .. 'r:' .. id end
local function fresh(id, age)
    local at = redis.call('ZSCORE', used, id)
    return at and tonumber(at) > now - age
end
local function remove(id)
    local found = redis.call('HMGET', response(id), 'owner', 'ids')
    if found[1] then
        local items = prefix .. 'i:' .. found[1]
        for _, item in ipairs(cjson.decode(found[2])) do
            if redis.call('HGET', items, item) == id then redis.call('HDEL', items, item) end
        end
        redis.call('DEL', response(id))
    end
    redis.call('DECRBY', bytes, redis.call('HGET', sizes, id) or 0)
    redis.call('HDEL', sizes, id)
    redis.call('ZREM', used, id)
end
"""
_KEEP = (
    _COMMON
    + """
local id, owner, previous, head, input, output, ids = unpack(ARGV, 3, 9)
local size, age, most, largest = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local lasts = tonumber(ARGV[14])
if redis.call('EXISTS', response(id)) == 1 then return 0 end
redis.call('HSET', response(id), 'owner', owner, 'previous', previous, 'head', head,
    'input', input, 'output', output, 'ids', ids)
redis.call('HSET', sizes, id, size)
redis.call('INCRBY', bytes, size)
local items = prefix .. 'i:' .. owner
for _, item in ipairs(cjson.decode(ids)) do redis.call('HSET', items, item, id) end
local one, depth = id, 0
while one and one ~= '' and redis.call('EXISTS', response(one)) == 1 do
    -- The first of a thread stays the oldest.
    redis.call('ZADD', used, string.format('%.6f', now - depth * 0.000001), one)
    redis.call('EXPIRE', response(one), lasts * 3)
    one, depth = redis.call('HGET', response(one), 'previous'), depth + 1
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', used, '-inf', now - age)) do remove(old) end
while redis.call('ZCARD', used) > most or tonumber(redis.call('GET', bytes)) > largest do
    local oldest = redis.call('ZRANGE', used, 0, 0)[1]
    if not oldest then break end
    remove(oldest)
end
for _, key in ipairs({used, sizes, bytes, items}) do redis.call('EXPIRE', key, lasts * 2) end
return 1
"""
)
_THREAD = (
    _COMMON
    + """
local id, owner, age = ARGV[3], ARGV[4], tonumber(ARGV[5])
if not fresh(id, age) or redis.call('HGET', response(id), 'owner') ~= owner then return false end
local texts = {}
while id ~= '' do
    local found = redis.call('HMGET', response(id), 'previous', 'input', 'output')
    if not found[1] then return '' end
    for place = 3, 2, -1 do
        if found[place] ~= '[]' then table.insert(texts, string.sub(found[place], 2, -2)) end
    end
    id = found[1]
end
local ordered = {}
for place = #texts, 1, -1 do table.insert(ordered, texts[place]) end
return '[' .. table.concat(ordered, ',') .. ']'
"""
)
_GET = (
    _COMMON
    + """
local id, owner, age = ARGV[3], ARGV[4], tonumber(ARGV[5])
if not fresh(id, age) or redis.call('HGET', response(id), 'owner') ~= owner then return false end
return redis.call('HMGET', response(id), 'head', 'input', 'output')
"""
)
_FIND = (
    _COMMON
    + """
local owner, age, texts, seen = ARGV[3], tonumber(ARGV[4]), {}, {}
for place = 5, #ARGV do
    local id = redis.call('HGET', prefix .. 'i:' .. owner, ARGV[place])
    if id and not seen[id] and fresh(id, age) then
        seen[id] = true
        for _, text in ipairs(redis.call('HMGET', response(id), 'input', 'output')) do
            table.insert(texts, text or '[]')
        end
    end
end
return texts
"""
)
_DELETE = (
    _COMMON
    + """
local id, owner, age = ARGV[3], ARGV[4], tonumber(ARGV[5])
if not fresh(id, age) or redis.call('HGET', response(id), 'owner') ~= owner then return 0 end
remove(id)
return 1
"""
)


class RedisStore:
    """Made before the fork; connections are made when they are needed."""

    quick = False

    def __init__(self, url: str, bounds: Bounds) -> None:
        """Take a URL. Nothing is asked yet: a server that is down does not end the start. Raises: ValueError."""
        self.bounds = bounds
        self._secret: bytes | None = None
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_ANSWER_SECS,
            socket_connect_timeout=_CONNECT_SECS,
            socket_timeout=_ANSWER_SECS,
            # A connection that went stale in the pool; every script may come twice.
            retry=Retry(NoBackoff(), 1),
        )
        self._redis = redis.Redis(connection_pool=pool)
        self._keep, self._thread, self._get, self._find, self._delete = map(
            self._redis.register_script, (_KEEP, _THREAD, _GET, _FIND, _DELETE)
        )

    def secret(self) -> bytes:
        """See `Store`."""
        name = _PREFIX + "secret"

        def made() -> bytes:
            self._redis.set(name, secrets.token_bytes(32), nx=True)
            found: Any = self._redis.get(name)
            return bytes(found)

        self._secret = _tried(made)
        return self._secret

    def keep(self, owner: bytes, kept: Kept) -> None:
        """See `Store`."""
        bounds = self.bounds
        texts = (kept.head, kept.input, kept.output, orjson.dumps(kept.ids))
        limits = (kept.size, bounds.age, bounds.responses, bounds.bytes, math.ceil(bounds.age))
        self._run(self._keep, kept.id, owner.hex(), kept.previous or "", *texts, *limits)

    def keep_here(self, owner: bytes, kept: Kept) -> bool:
        """See `Store`."""
        return False

    def thread(self, owner: bytes, id: str) -> Thread | None:
        """See `Store`."""
        items = self._run(self._thread, id, owner.hex(), self.bounds.age)
        return None if items is None else Thread(items.decode(), whole=items != b"")

    def find(self, owner: bytes, ids: list[str]) -> dict[str, JSON]:
        """See `Store`."""
        texts = self._run(self._find, owner.hex(), self.bounds.age, *ids)
        wanted = set(ids)
        items = (item for text in texts for item in orjson.loads(text))
        return {item["id"]: item for item in items if item["id"] in wanted}

    def get(self, owner: bytes, id: str) -> Found | None:
        """See `Store`."""
        texts = self._run(self._get, id, owner.hex(), self.bounds.age)
        return None if texts is None else Found(*(text.decode() for text in texts))

    def delete(self, owner: bytes, id: str) -> bool:
        """See `Store`."""
        return bool(self._run(self._delete, id, owner.hex(), self.bounds.age))

    def close(self) -> None:
        """See `Store`."""
        self._redis.close()

    def _run(self, script: Callable[..., Any], *values: Any) -> Any:
        arguments: Sequence[Any] = (_PREFIX, self._secret or self.secret(), *values)
        return _tried(lambda: script(args=arguments))


def _tried(step: Callable[[], T]) -> T:
    """Run a step. Raises: StoreDown."""
    try:
        return step()
    except redis.ResponseError as error:
        kind = SecretChanged if "SECRETCHANGED" in str(error) else StoreDown
        raise kind("The store of responses does not work at the moment.") from error
    except (redis.RedisError, OSError) as error:
        raise StoreDown("The store of responses does not work at the moment.") from error
