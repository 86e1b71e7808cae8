"""The SQL that the bus runs, with named parameters.

What others have written as JSON is read as text: the driver would raise while it reads a row that is nested too deeply.
"""

from __future__ import annotations

__all__ = [
    "ALIVE",
    "BEAT",
    "EMIT",
    "END",
    "ENDED",
    "ENROLL",
    "EPOCH",
    "HISTORY",
    "KEY",
    "NOW",
    "READ",
    "ROSTER",
    "SEND",
    "TRIM",
    "WAKE",
]

WAKE = "reactive.rx_wake(%(hint)s)"
"""Part of a ``select`` that changes something: a wake-up, sent when its transaction commits."""

EPOCH = "select reactive.rx_begin()"
KEY = "select key from reactive.life"
NOW = "select pg_current_snapshot()::text, extract(epoch from clock_timestamp())::float8"
READ = """
    select 'now', 0, 0::text::xid8, pg_current_snapshot()::text, null::text[], null::text[], null, null,
        extract(epoch from clock_timestamp())::float8
    union all
    select 'log', id, xid, scope, paths, audience, origin, member::text, null
    from reactive.log where xid >= %(ends)s::xid8
    union all
    select 'log', id, xid, scope, paths, audience, origin, member::text, null
    from reactive.log where xid = any(%(running)s::xid8[])
    union all
    select 'ended', id, xid, scope, array[user_id], null, process, at::text, null
    from reactive.ended where xid >= %(ends)s::xid8 or xid = any(%(running)s::xid8[])
    order by 2
"""
ENDED = """
    select 'ended', id, xid, scope, array[user_id], null, process, at::text, null
    from reactive.ended where at > clock_timestamp() - make_interval(secs => %(seconds)s) order by id
"""
HISTORY = """
    with asked as (
        select * from unnest(%(scopes)s::text[], %(since)s::bigint[]) as asked(scope, since)
    ), found as materialized (
        select asked.scope, log.xid::text::bigint as stamp, log.paths, log.audience, log.origin
        from asked cross join reactive.life cross join lateral (
            select * from reactive.log
            where hashtextextended(log.scope, 0) = hashtextextended(asked.scope, 0) and log.scope = asked.scope
                and log.paths is not null and log.xid > greatest(life.floor, coalesce(asked.since, 0)::text::xid8)
            order by log.xid desc limit %(limit)s
        ) as log
    )
    select pg_current_snapshot()::text, null::text[], null, null, floor::text::bigint, 0 from reactive.life
    union all
    select scope, null::text[], null, null, min(stamp), count(*) from found group by scope
    union all
    select scope, audience, path, origin, max(stamp), 0
    from found cross join unnest(paths) as path group by scope, audience, path, origin
"""
ROSTER = """
    select member.scope, member.process, member.key, member.session, member.user_id, member.since
    from unnest(%(scopes)s::text[]) as asked(scope)
    join reactive.members as member
        on hashtextextended(member.scope, 0) = hashtextextended(asked.scope, 0) and member.scope = asked.scope
    join reactive.processes as known on known.process = member.process and known.expires > clock_timestamp()
"""
EMIT = """
    with emitted as materialized (
        select reactive.rx_emit(given.scope, given.paths, given.origin, given.audience)
        from jsonb_to_recordset($1::jsonb) as given(scope text, paths text[], origin text, audience text[])
    )
    select count(*), reactive.rx_wake($2) from emitted
"""
END = "select reactive.rx_send($1, $2::jsonb), reactive.rx_wake(null)"
"""These two are for programs without an event loop, with the numbered parameters of the protocol."""
SEND = "reactive.rx_send(%(process)s, %(batch)s::jsonb)"
ENROLL = "reactive.rx_enroll(%(process)s, %(members)s::jsonb)"
BEAT = "reactive.rx_beat(%(process)s, make_interval(secs => %(lease)s))"
ALIVE = "select process from reactive.processes where process = any(%(processes)s) and expires > clock_timestamp()"
TRIM = "select reactive.rx_trim(%(keep)s::interval, %(most)s, %(batch)s)"
