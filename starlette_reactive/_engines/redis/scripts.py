"""The Lua scripts, each of which does one thing for a bus in a single step, and the layout of the keys.

Keys and channels share a prefix. Every key has an expiry, so nothing stays behind forever:

- ``root``: a hash of ``birth``, ``last`` and ``floor``: the id of this data, the last stamp given out, and the stamp
  up to which nothing is known about a scope that is not in the index.
- ``scopes``: the index, a sorted set of scopes by the stamp of their last event. It always contains an empty name. If
  the root or the index is missing, for whatever reason, the data has been lost: it begins again with a new birth.
- ``log:BIRTH:SCOPE``: a hash with the last change of each (path, audience), as ``stamp other-stamp origin``. The entry
  with the empty name is the scope's floor. If it is missing while the scope is in the index, its history is unknown.
- ``who:SCOPE``: a hash of members by process and key; ``of:PROCESS``: the set of memberships of a process.
- ``lease:PROCESS``: the session that writes for a process, missing if the process is dead; ``processes``: all
  processes by the time at which their leases end, so that others can remove what dead ones left.
- ``ended``: users whose streams were ended in the last minutes, by stamp.
- ``toast:STAMP``: a toast that was sent in the last seconds. What is published only names it, so a program that may
  publish but not write keys cannot forge one.

Messages are ``KIND BIRTH BODY``, with the kinds ``e`` for an event, ``p`` for a member that joined or left, ``u`` for a
user whose streams are to end, ``t`` for a toast, ``h`` for a level that was reached and ``m`` for a mark. The last two
go to one process, with a token that only its session has, so that nobody else can send them.

A program that may write keys can write anything into them. What is malformed counts as missing, so no script fails.

Each stamp is higher than every stamp before it, whatever the clock does. It equals the clock in microseconds unless
that would not be higher.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ..._log.changelog import PATHS_PER_SCOPE

__all__ = ["ATTACH", "BEAT", "BEGIN", "EMIT", "END", "ENROLL", "MARK", "SCRIPTS", "SHOW", "STAMP", "TOAST", "Script"]

_DAY = 86_400
_SCOPES = 100_000  # that the index holds
_TOAST_SECONDS = 10  # in which every process reads a toast
_ENDED_SECONDS = 300  # for which the end of a user's streams is kept
_TRIMMED_PATHS = PATHS_PER_SCOPE * 3 // 4  # left after a log is trimmed, so that it is trimmed rarely

_PREAMBLE = f"""
local prefix = KEYS[1]
local root, index = prefix .. ':root', prefix .. ':scopes'
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function text(number) return string.format('%.0f', number) end
local function stamp_in(value)
  local number = tonumber(value)
  return number and number >= 0 and number < 2^53 and number or nil
end
local known = redis.call('HMGET', root, 'birth', 'last', 'floor')
local birth, last, floor = known[1], stamp_in(known[2]), stamp_in(known[3])
if not birth or not last or not floor or redis.call('EXISTS', index) == 0 then
  birth, last = ARGV[1] .. text(now), math.max(now, last or 0)
  floor = last
  redis.call('HSET', root, 'birth', birth, 'last', text(last), 'floor', text(floor))
  redis.call('ZADD', index, '+inf', '')
  redis.call('EXPIRE', root, {2 * _DAY})
  redis.call('EXPIRE', index, {2 * _DAY})
end
local function log_of(scope) return prefix .. ':log:' .. birth .. ':' .. scope end
local function level_now()
  last = math.max(last, now)
  redis.call('HSET', root, 'last', text(last))
  return last
end
local function next_stamp()
  last = math.max(last + 1, now)
  redis.call('HSET', root, 'last', text(last))
  return last
end
local function forget_oldest(limit)
  local yesterday = text(now - {_DAY * 1_000_000})
  local old = redis.call('ZRANGEBYSCORE', index, '-inf', yesterday, 'WITHSCORES', 'LIMIT', 0, limit)
  local many = redis.call('ZCARD', index) - 1 - {_SCOPES}
  if #old == 0 and many > 0 then
    old = redis.call('ZRANGE', index, 0, math.min(many, limit) - 1, 'WITHSCORES')
  end
  for i = 1, #old, 2 do
    redis.call('DEL', log_of(old[i]))
    redis.call('ZREM', index, old[i])
    floor = math.max(floor, tonumber(old[i + 1]))
  end
  if #old > 0 then redis.call('HSET', root, 'floor', text(floor)) end
end
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A script. Its first argument is a token that no other call has.

    Args:
        body: The Lua code after the preamble. It returns a list that begins with the birth of the data.

    Attributes:
        source: The whole script.
        digest: Its digest, by which it is called.
    """

    body: str
    source: str = field(init=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", _PREAMBLE + self.body)
        object.__setattr__(self, "digest", hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest())


BEGIN = Script("return {birth, text(level_now()), redis.call('ZRANGE', prefix .. ':ended', 0, -1)}")
"""→ level, and the entries of ``ended``, each as ``stamp body``."""

STAMP = Script("return {birth, text(level_now())}")
"""→ level."""

EMIT = Script(f"""
local scope, body, origin = ARGV[2], ARGV[3], ARGV[4]
if now % 32 == 0 then forget_oldest(64) end -- the microseconds select about one emit in 32
local log = log_of(scope)
local stamp = next_stamp()
local before = stamp_in(redis.call('ZSCORE', index, scope))
local entries = redis.call('HMGET', log, '', unpack(ARGV, 5))
local changes = {{}}
if not entries[1] then changes = {{'', text(before or floor)}} end
for i = 5, #ARGV do
  local newest, other, whose = string.match(entries[i - 3] or '', '^(%d+) (%d+) (.*)$')
  if not newest then
    other = '0'
  elseif whose ~= origin then
    other = newest
  end
  changes[#changes + 1] = ARGV[i]
  changes[#changes + 1] = text(stamp) .. ' ' .. other .. ' ' .. origin
end
if redis.call('HSET', log, unpack(changes)) > 0 and redis.call('HLEN', log) > {PATHS_PER_SCOPE + 1} then
  local all, ages, gone = redis.call('HGETALL', log), {{}}, {{}}
  for i = 1, #all, 2 do
    if all[i] ~= '' then ages[#ages + 1] = {{stamp_in(string.match(all[i + 1], '^%d+')) or 0, all[i]}} end
  end
  table.sort(ages, function(one, other) return one[1] < other[1] end)
  for i = 1, #ages - {_TRIMMED_PATHS} do gone[i] = ages[i][2] end
  redis.call('HDEL', log, unpack(gone))
  redis.call('HSET', log, '', text(ages[#gone][1]))
end
redis.call('EXPIRE', log, {_DAY + 3600})
redis.call('ZADD', index, text(stamp), scope)
redis.call('PUBLISH', prefix .. ':scope:' .. scope,
  'e ' .. birth .. ' ' .. text(stamp) .. ' ' .. text(before or 0) .. ' ' .. body)
return {{birth, text(stamp)}}
""")
"""Scope, body, origin, and the names of the entries of the log → stamp."""

END = Script(f"""
local ended, stamp = prefix .. ':ended', text(next_stamp())
redis.call('ZREMRANGEBYSCORE', ended, '-inf', text(now - {_ENDED_SECONDS * 1_000_000}))
redis.call('ZADD', ended, stamp, stamp .. ' ' .. ARGV[2])
redis.call('EXPIRE', ended, {_ENDED_SECONDS})
redis.call('PUBLISH', prefix .. ':all', 'u ' .. birth .. ' ' .. stamp .. ' ' .. ARGV[2])
return {{birth}}
""")
"""Body → nothing."""

TOAST = Script(f"""
local stamp = text(next_stamp())
redis.call('SET', prefix .. ':toast:' .. stamp, ARGV[3], 'EX', {_TOAST_SECONDS})
redis.call('PUBLISH', prefix .. ':scope:' .. ARGV[2], 't ' .. birth .. ' ' .. stamp)
return {{birth}}
""")
"""Scope, body → nothing."""

ENROLL = Script(f"""
local process, session, lease = ARGV[2], ARGV[3], tonumber(ARGV[4])
redis.call('SET', prefix .. ':lease:' .. process, session, 'PX', lease)
redis.call('ZADD', prefix .. ':processes', text(now / 1000 + lease), process)
redis.call('EXPIRE', prefix .. ':processes', {_DAY})
return {{birth, redis.call('SMEMBERS', prefix .. ':of:' .. process)}}
""")
"""Process, session, lease in ms → memberships of the process, each as the key's length, ``:``, key and scope."""

SHOW = Script(f"""
local process, session, scope, key, member, body = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
if redis.call('GET', prefix .. ':lease:' .. process) ~= session then return {{birth, 'lapsed'}} end
local who, of = prefix .. ':who:' .. scope, prefix .. ':of:' .. process
local name, membership = #process .. ':' .. process .. key, #key .. ':' .. key .. scope
if member == '' then
  redis.call('HDEL', who, name)
  redis.call('SREM', of, membership)
else
  redis.call('HSET', who, name, member)
  redis.call('SADD', of, membership)
  redis.call('EXPIRE', who, {_DAY})
  redis.call('EXPIRE', of, {_DAY})
end
redis.call('PUBLISH', prefix .. ':scope:' .. scope, 'p ' .. birth .. ' ' .. body)
return {{birth}}
""")
"""Process, session, scope, key, member or empty, body → ``lapsed`` if the session may no longer write."""

BEAT = Script(f"""
local process, session, lease, token = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if redis.call('GET', prefix .. ':lease:' .. process) ~= session then return {{birth, 'lapsed'}} end
redis.call('PEXPIRE', prefix .. ':lease:' .. process, lease)
redis.call('ZADD', prefix .. ':processes', text(now / 1000 + lease), process)
redis.call('EXPIRE', prefix .. ':processes', {_DAY})
redis.call('EXPIRE', root, {2 * _DAY})
redis.call('EXPIRE', index, {2 * _DAY})
redis.call('EXPIRE', prefix .. ':of:' .. process, {_DAY})
for i = 6, #ARGV do redis.call('EXPIRE', prefix .. ':who:' .. ARGV[i], {_DAY}) end
forget_oldest(100)
local dead = redis.call('ZRANGEBYSCORE', prefix .. ':processes', '-inf', text(now / 1000 - 60000), 'LIMIT', 0, 1)[1]
if dead then
  local memberships = redis.call('SPOP', prefix .. ':of:' .. dead, 200)
  for i = 1, #memberships do
    local length, rest = string.match(memberships[i], '^(%d+):(.*)$')
    if length and #length < 10 then
      local key, scope = string.sub(rest, 1, length), string.sub(rest, length + 1)
      redis.call('HDEL', prefix .. ':who:' .. scope, #dead .. ':' .. dead .. key)
    end
  end
  if #memberships == 0 then redis.call('ZREM', prefix .. ':processes', dead) end
end
redis.call('PUBLISH', prefix .. ':to:' .. process, 'h ' .. birth .. ' ' .. token .. ' ' .. text(level_now()))
return {{birth}}
""")
"""Process, session, lease in ms, token, scopes to renew → ``lapsed`` if the session may no longer write."""

ATTACH = Script("""
local found, alive = {birth, text(level_now())}, {}
local function lives(one)
  if alive[one] == nil then alive[one] = redis.call('EXISTS', prefix .. ':lease:' .. one) == 1 end
  return alive[one]
end
for i = 2, #ARGV, 2 do
  local scope, level, log = ARGV[i], tonumber(ARGV[i + 1]), log_of(ARGV[i])
  local stamp, entries, members = tonumber(redis.call('ZSCORE', index, scope)), {}, {}
  local begin = stamp and redis.call('HGET', log, '') or text(stamp or floor)
  if stamp and stamp > level then entries = redis.call('HGETALL', log) end
  local who = redis.call('HGETALL', prefix .. ':who:' .. scope)
  for j = 1, #who, 2 do
    local length, rest = string.match(who[j], '^(%d+):(.*)$')
    if length and #length < 10 and lives(string.sub(rest, 1, length)) then
      members[#members + 1] = who[j]
      members[#members + 1] = who[j + 1]
    end
  end
  found[#found + 1] = {begin, entries, members}
end
return found
""")
"""Scopes, each with the stamp up to which it is known or -1 → level, and for each its floor, entries and members."""

MARK = Script("""
redis.call('PUBLISH', prefix .. ':to:' .. ARGV[2], 'm ' .. birth .. ' ' .. ARGV[3])
return {birth}
""")
"""Process, token → nothing. The mark arrives by subscription, after everything that was published before it."""

SCRIPTS = (BEGIN, STAMP, EMIT, END, TOAST, ENROLL, SHOW, BEAT, ATTACH, MARK)
