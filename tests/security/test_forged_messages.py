"""Attacks with forged messages of an engine. What an attacker would gain: every process loses its connection to the
engine again and again, or renders the same blocks for ever.

On PostgreSQL any role may notify. On Redis the attacker may publish, and in some tests write keys.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis

from starlette_reactive import ChangeEvent, ConnectionInfo, ReactiveBus, Subscription
from starlette_reactive._core.paths import validate_path
from starlette_reactive._engines.ignored import MALFORMED, IgnoredMessages
from starlette_reactive._engines.messages import EndUser, MemberChange, RemoteMember
from starlette_reactive._engines.postgres import codec as rows
from starlette_reactive._engines.redis import codec as messages
from starlette_reactive._engines.redis.known_level import KnownLevel

from ..engines.conftest import REDIS, World, level, soon
from ..engines.servers import PostgresServer, RedisServer
from ..engines.test_conformance import take_until

ROOT = "starlette-reactive:1:0"
DEEP = "[" * 100_000
HUGE = "9" * 5_000
HIGHEST = 2**63 - 1
NOBODY = "nobody_at_all"

# Fuzzing the decoders

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
TEXTS = st.text() | st.sampled_from([DEEP, HUGE, "", "{}", "NaN", "1e999", '"' + "x" * 1_000_000])
EVENTS = st.fixed_dictionaries(dict.fromkeys(("scope", "paths", "origin", "audience"), VALUES))
JSON = TEXTS | (VALUES | EVENTS).map(json.dumps)
NUMBERS = st.integers().map(str) | TEXTS
NAMES = st.text(min_size=1)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Return parts with a space between them, as messages of Redis have them."""
    return st.binary() | st.tuples(*parts).map(" ".join).map(encoded)


def check(decode: Callable[..., object], *arguments: object) -> None:
    """Check that a decoder returns facts of the declared types, or raises what sessions catch."""
    with contextlib.suppress(*MALFORMED):
        check_types(decode(*arguments))


def check_types(value: object) -> None:
    if isinstance(value, list | tuple | frozenset):
        for each in value:
            check_types(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            found = getattr(value, field.name)
            assert _FITS[field.name](found), (field.name, found)
            check_types(found)


def is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def is_optional_text(value: object) -> bool:
    return value is None or is_text(value)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def is_optional_number(value: object) -> bool:
    return value is None or is_number(value)


def are_users(value: object) -> bool:
    return value is None or (isinstance(value, frozenset) and all(map(is_text, value)))


_FITS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("scope", "process", "key", "session_id", "user_id", "origin"), is_optional_text),
    **dict.fromkeys(("stamp", "other_stamp", "previous", "level", "floor", "since"), is_optional_number),
    "audience": are_users,
    "changed_paths": lambda value: isinstance(value, frozenset) and bool(value) and all(map(validate_path, value)),
    "path": lambda value: bool(validate_path(value)),
    **dict.fromkeys(("target", "html"), lambda value: isinstance(value, str)),
    "is_toast": lambda value: isinstance(value, bool),
    "event": lambda value: isinstance(value, ChangeEvent),
    "member": lambda value: value is None or isinstance(value, RemoteMember),
    "message": lambda value: True,
    "records": lambda value: isinstance(value, list),
    **dict.fromkeys(("birth", "token"), lambda value: value is None or isinstance(value, bytes)),
}


@given(joined(st.sampled_from("eputhmx"), NUMBERS, NUMBERS, NUMBERS, JSON) | joined(st.sampled_from("pu"), NAMES, JSON))
@example(f"e birth 1 0 {DEEP}".encode())
@example(f"u birth 1 {DEEP}".encode())
@example(f"p birth {DEEP}".encode())
@example(f"h birth token {HUGE}".encode())
@example(b'u birth 1 ["process", ["a list"], null]')
@example(b'u birth 1 ["process", 7, null]')
@example(b'p birth ["process", "1", "scope", ["", null, 1.0]]')
@example(b'p birth ["process", "1", "scope", ["tab", 7, 1.0]]')
@example(b'p birth ["process", "1", "scope", ["tab", null, Infinity]]')
@example(b'p birth ["process", "1", "scope", ["tab", null, 1' + b"0" * 400 + b"]]")
@example(b'p birth ["process", ["1"], "scope", null]')
def test_whatever_is_published_on_redis_is_read_or_refused(data: bytes) -> None:
    """An attacker would end the session of each process with one message."""
    check(messages.parse_published, data)


@given(st.binary() | JSON.map(encoded), st.lists(joined(NUMBERS, NUMBERS, JSON) | JSON.map(encoded)))
@example(b"1", [b'["a", null]', f"{HIGHEST} 0 null".encode()])
@example(b"1", [DEEP.encode(), b"1 0 null"])
@example(b"1", [b'["a", [["b"]]]', b"1 0 null"])
@example(b"1", [b'["a b", null]', b"1 0 null"])
@example(HUGE.encode(), [])
def test_whatever_redis_stores_is_read_or_refused(floor: bytes, entries: list[bytes]) -> None:
    """An attacker would end every session that loads a scope."""
    check(messages.parse_history, 1_000, floor, entries)
    for entry in entries:
        check(messages.parse_ended, entry)
        check(messages.parse_membership, entry)
        check(messages.parse_toast, entry)
        check(messages.parse_member, entry, floor)
        check(messages.parse_member, b"1:x1", floor)


@given(TEXTS | st.tuples(NUMBERS, JSON | st.lists(EVENTS | VALUES).map(json.dumps)).map(" ".join))
@example(f"99999999999 {DEEP}")
@example(f"{HUGE} []")
@example('1 [{"scope": "s", "paths": ["a"], "origin": null, "audience": [["b"]]}]')
@example('1 [{"scope": "s", "paths": "a", "origin": null, "audience": "b"}]')
def test_whatever_a_notification_contains_is_read_or_refused(payload: str) -> None:
    """An attacker without any right in the database would end the session of each process."""
    check(rows.parse_hint, payload, b"key")
    signature = sha256(b"key" + sha256(b"key" + encoded(payload)).digest()).hexdigest()
    check(rows.parse_hint, f"{signature} {payload}", b"key")


@pytest.mark.parametrize("change", ["another key", "another transaction", "another event", "no signature"])
def test_a_notification_counts_only_as_it_was_signed(change: str) -> None:
    """An attacker would announce changes before they are committed, which hides them when they are."""
    event = '[{"scope": "s", "paths": ["a"], "origin": null, "audience": null}]'
    signature = sha256(b"key" + sha256(b"key" + f"7 {event}".encode()).digest()).hexdigest()
    assert rows.parse_hint(f"{signature} 7 {event}", b"key") == ("7", [ChangeEvent("s", {"a"})])
    payload, key = {
        "another key": (f"{signature} 7 {event}", b"another"),
        "another transaction": (f"{signature} 8 {event}", b"key"),
        "another event": (f"{signature} 7 {event.replace('a', 'b')}", b"key"),
        "no signature": (f"7 {event}", b"key"),
    }[change]
    with pytest.raises(ValueError, match="signature"):
        rows.parse_hint(payload, key)


@given(NAMES, st.lists(st.text() | VALUES, min_size=1), st.text(), st.none() | st.lists(VALUES))
@example("s", [["a", "b"], ["c", "d"]], "", None)
@example("s", ["a"], "", [["a", "b"], ["c", "d"]])
def test_whatever_a_row_of_the_log_contains_becomes_an_event(
    scope: str, paths: Any, origin: str, audience: Any
) -> None:
    """An attacker who may emit would end the session of each process, or hide a change from everybody."""
    ignored = IgnoredMessages("postgresql")
    event = rows.parse_event(scope, paths, origin, audience, ignored)
    check_types(event)
    found = rows.parse_histories(9, 1, [(scope, audience, path, origin, 5, 0) for path in paths], 10, ignored)
    check_types(found[scope])
    assert {record.path for record in found[scope].records} == event.changed_paths


@given(st.text(), st.text(), JSON, st.floats())
@example("s", "process", DEEP, math.nan)
@example("s", "process", '{"key": ["1"]}', math.inf)
@example("s", "process", '{"key": "1", "session": 7, "user": 7, "since": 1}', 1.0)
@example("s", "process", '{"key": "toast", "toast": 7}', 1.0)
@example("s", "process", '{"key": "toast", "toast": {"target": "t", "html": 7, "audience": null}}', 1.0)
@example("s", "process", '{"key": "toast", "toast": {"target": "t", "html": "", "audience": [7]}}', 1.0)
def test_whatever_a_row_of_a_member_contains_is_read_or_refused(scope: str, text: str, row: str, since: float) -> None:
    """An attacker who may show members would end every session that views their scope."""
    check(rows.parse_member_row, scope, text, row)
    check(rows.parse_member, text, scope, since)
    check(rows.parse_end_user, text, scope, scope)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RemoteMember("", None, 1.0),
        lambda: RemoteMember("tab", "", 1.0),
        lambda: RemoteMember("tab", None, math.nan),
        lambda: MemberChange("s", "process", "", None),
        lambda: EndUser("process", "", None),
    ],
)
def test_facts_from_other_processes_are_validated(make: Callable[[], object]) -> None:
    """An attacker would end a session with an empty name, which no connection can have."""
    with pytest.raises(ValueError, match=r"is empty|finite"):
        make()


def test_a_flood_of_malformed_messages_writes_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """An attacker would fill the disk with logs, and write what they like into them."""
    ignored = IgnoredMessages("redis")
    for _ in range(1_000):
        ignored.note("a message", ValueError("\x1b[31mattack"))
    assert ignored.count == 1_000
    assert [record.getMessage() for record in caplog.records] == [
        "ignored a message of redis: ValueError (1 ignored so far)"
    ]


# Through real engines


@contextlib.contextmanager
def attacked(world: World) -> Iterator[tuple[ReactiveBus, Subscription]]:
    """Yield a bus with a subscription, and check afterwards that its session has survived."""
    bus = world.impatient_process(heartbeat=2.0, lease=60.0, patience=60.0)  # a busy machine ends no session
    with bus.subscribe(world.scope, connection=ConnectionInfo("tab", "ann")) as subscription:
        yield bus, subscription
        health = bus.health()
        assert (health.connected, health.connections, health.last_error) == (True, 1, None)


async def check_delivery(world: World, bus: ReactiveBus, subscription: Subscription) -> None:
    """Check that an event of another process still arrives, exactly as it was emitted."""
    other = world.process()
    await level(other)
    await other.emit(ChangeEvent(world.scope, {"real"}))
    await take_until(subscription, "real")


def forged_for_redis(scope: str) -> Iterator[str]:
    event = {"scope": scope, "paths": ["forged"], "origin": None, "audience": None}
    yield from ("", "x", "e", "e BIRTH", "e BIRTH 1", f"e BIRTH 1 0 {DEEP}", f"e BIRTH {HUGE} 0 {json.dumps(event)}")
    yield from (
        f"e BIRTH 1 -1 {json.dumps(event)}",
        f"e another-birth 1 0 {json.dumps(event)}",
        "z BIRTH 1",
        "m BIRTH 1",
        "t BIRTH 1",
        f"t BIRTH {HUGE}",
        "t BIRTH x",
    )
    for name, value in (
        ("scope", 7),
        ("scope", ""),
        ("paths", []),
        ("paths", "forged"),
        ("paths", [["forged"]]),
        ("origin", {"a": 1}),
        ("audience", [[1]]),
        ("audience", "ann"),
    ):
        yield f"e BIRTH 1 0 {json.dumps({**event, name: value})}"
    yield from (f"u BIRTH 1 {DEEP}", 'u BIRTH 1 ["p", ["ann"], null]', 'u BIRTH 1 ["p", 7, null]', 'u BIRTH 1 ["p"]')
    yield from (f"p BIRTH {DEEP}", "p BIRTH 17", 'p BIRTH ["p", "1", "s", 7]')
    for member in (["", None, 1.0], ["tab", 7, 1.0], ["tab", None, "now"], ["tab", None, math.inf], ["tab"]):
        yield f"p BIRTH {json.dumps(['p', '1', scope, member])}"
    yield from ("h BIRTH 1", f"h BIRTH token {HIGHEST}", f"h BIRTH {HIGHEST}")


async def test_messages_forged_on_redis_end_no_session(servers: Any, redis: RedisServer) -> None:
    """An attacker who may publish would disconnect each process at will, so that all pages render all their blocks."""
    with contextlib.ExitStack() as stack, Redis.from_url(redis.url) as attacker:
        world = World(REDIS, redis, stack)
        with attacked(world) as (bus, subscription):
            await level(bus)
            await bus.ready(world.scope)
            birth = attacker.hget(f"{ROOT}:root", "birth").decode()
            channels = [f"{ROOT}:scope:{world.scope}", f"{ROOT}:all", *attacker.pubsub_channels(f"{ROOT}:to:*")]
            forged = [each.replace("BIRTH", birth).encode() for each in forged_for_redis(world.scope)]
            heard = 0
            for channel in channels:
                for each in (*forged, b"\xff\xfe", b"e " + birth.encode() + b" 1 0 \xff", b"\0" * 1_000_000):
                    heard += attacker.publish(channel, each)
            await soon(lambda: bus.health().ignored >= heard)
            await check_delivery(world, bus, subscription)


async def test_a_member_with_a_name_that_utf_8_cannot_encode_ends_no_session(redis: RedisServer) -> None:
    """An attacker would end sessions at their next heartbeat, which asks whether the process of the member lives."""
    with contextlib.ExitStack() as stack, Redis.from_url(redis.url) as attacker:
        world = World(REDIS, redis, stack)
        with attacked(world) as (bus, subscription):
            await bus.ready(world.scope)
            birth = attacker.hget(f"{ROOT}:root", "birth").decode()
            member = json.dumps(["\ud800", "1", world.scope, ["forged", None, 1.0]])
            attacker.publish(f"{ROOT}:scope:{world.scope}", f"p {birth} {member}")
            await soon(lambda: len(bus.presence(world.scope)) == 2)
            await soon(lambda: len(bus.presence(world.scope)) == 1)
            await check_delivery(world, bus, subscription)


async def test_forged_keys_of_redis_end_no_session(redis: RedisServer) -> None:
    """An attacker who may write keys would keep a scope from ever being loaded again, in all processes."""
    with contextlib.ExitStack() as stack, Redis.from_url(redis.url) as attacker:
        world = World(REDIS, redis, stack)
        who, scope = f"{ROOT}:who:{world.scope}", world.scope
        with attacked(world) as (bus, subscription):
            await bus.ready(scope)
            await bus.emit(ChangeEvent(scope, {"before"}))
            birth = attacker.hget(f"{ROOT}:root", "birth").decode()
            (owner,) = attacker.hkeys(who)
            for name in ("", "x", "9:", ":", f"{HUGE}:x", "-1:x"):
                attacker.hset(who, name, "[]")
            for number, facts in enumerate(("", DEEP, "7", '["", null, 1]', '["tab", 7, 1]', '["tab", null, 1e999]')):
                attacker.hset(who, owner + str(number).encode(), facts)
            log = f"{ROOT}:log:{birth}:{scope}"
            for name, change in (("x", "x"), (DEEP, "1 0 null"), ('["a b", null]', "1 0 null"), ('["b", [[]]]', HUGE)):
                attacker.hset(log, name, change)
            attacker.zadd(f"{ROOT}:ended", {"x": 1, f"1 {DEEP}": 2, '1 ["p", 7, null]': 3})
            later = world.process()
            with later.subscribe(scope) as theirs:
                await level(later)
                assert await later.ready(scope)
                assert {each.user_id for each in await later.presence_now(scope)} == {"ann"}
                await check_delivery(world, later, theirs)
                await take_until(subscription, "real")
                assert later.health().connections == 1
                assert later.health().ignored


async def test_a_log_of_redis_with_forged_entries_is_still_trimmed(redis: RedisServer) -> None:
    """An attacker who may write keys would make each emit of a scope fail, for ever."""
    with contextlib.ExitStack() as stack, Redis.from_url(redis.url) as attacker:
        world = World(REDIS, redis, stack)
        with attacked(world) as (bus, subscription):
            await bus.ready(world.scope)
            await bus.emit(ChangeEvent(world.scope, {"before"}))
            birth = attacker.hget(f"{ROOT}:root", "birth").decode()
            log = f"{ROOT}:log:{birth}:{world.scope}"
            attacker.hset(log, mapping={f"x{number}": "x" for number in range(300)})
            await bus.emit(ChangeEvent(world.scope, {"after"}))
            await take_until(subscription, "after")
            assert attacker.hlen(log) < 300


@pytest.mark.parametrize(
    "payload",
    [
        f"99999999999 {'[' * 7_000}",
        f"1 {'[' * 7_000}",
        f"{'9' * 7_000} []",
        "nonsense",
        "1 " + json.dumps([{"scope": 7, "paths": [[]], "origin": {}, "audience": [[]]}]),
        "1 " + json.dumps([{"scope": "s", "paths": ["a"], "origin": None, "audience": [["ann"]]}]),
    ],
    ids=lambda payload: payload[:20],
)
async def test_a_role_without_rights_ends_no_session_with_a_notification(
    postgres: PostgresServer, payload: str
) -> None:
    """An attacker who can only connect would end the session of every process as often as they like."""
    with contextlib.ExitStack() as stack:
        world = World("postgresql", postgres, stack)
        with attacked(world) as (bus, subscription), sql(postgres, NOBODY) as attacker:
            await level(bus)
            await bus.ready(world.scope)
            attacker.execute("select pg_notify('reactive', %s)", (payload,))
            await soon(lambda: bus.health().ignored)
            await check_delivery(world, bus, subscription)


async def test_forged_rows_end_no_session(postgres: PostgresServer) -> None:
    """An attacker with a role that may write rows would end the session of every process."""
    deep = "[" * 1_900 + "]" * 1_900
    with contextlib.ExitStack() as stack:
        world = World("postgresql", postgres, stack)
        with attacked(world) as (bus, subscription), sql(postgres) as attacker:
            await level(bus)
            await bus.ready(world.scope)
            insert = f"insert into reactive.log (scope, {{}}) values ('{world.scope}', {{}})"
            attacker.execute(insert.format("paths, audience", "'{{a,b},{c,d}}', '{{e,f},{g,h}}'").encode())
            await take_until(subscription, "*")
            for member in (
                f'{{"key": "1", "session": "tab", "user": null, "since": {deep}}}',
                '{"key": ["1"], "session": "tab", "user": null, "since": 1}',
                '{"session": "tab"}',
                '{"key": "1", "session": "", "user": null, "since": 1}',
                '{"key": "1", "session": "tab", "user": 7, "since": 1}',
                '{"key": "1", "session": "tab", "user": null, "since": 1e400}',
                "7",
            ):
                attacker.execute(insert.format("origin, member", f"'forged', '{member}'").encode())
            attacker.execute("insert into reactive.ended (process, user_id) values ('', ''), ('p', '')")
            attacker.execute("insert into reactive.processes values ('forged', 'infinity') on conflict do nothing")
            for values in ("'', null, 1", "'tab', '', 'NaN'", "'tab', null, 'infinity'"):
                attacker.execute(
                    f"insert into reactive.members values ('forged', '1', '{world.scope}', {values})".encode()
                )
            attacker.execute("notify reactive")
            await soon(lambda: bus.health().ignored >= 10)
            await check_delivery(world, bus, subscription)
            later = world.process()
            await level(later)
            assert len(await later.presence_now(world.scope)) == 1
            assert later.health().ignored


@contextlib.contextmanager
def sql(server: PostgresServer, role: str | None = None) -> Iterator[psycopg.Connection[Any]]:
    """Connect as a role, which is created if it is missing."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        if role is None:
            yield admin
            return
        with contextlib.suppress(psycopg.errors.DuplicateObject):
            admin.execute(f"create role {role} login".encode())
    with psycopg.connect(server.url.replace("postgres@", f"{role}@"), autocommit=True) as user:
        yield user


# Stamps beyond the server's own


async def test_a_forged_stamp_does_not_make_blocks_be_sent_for_ever(shared: World) -> None:
    """An attacker would have a block sent again to every page that connects, for ever: no change would be newer."""
    with attacked(shared) as (bus, subscription):
        await level(bus)
        await bus.ready(shared.scope)
        await bus.emit(ChangeEvent(shared.scope, {"first"}))
        await take_until(subscription, "first")
        forge(shared, HIGHEST)
        await soon(lambda: bus.health().ignored)
        await check_delivery(shared, bus, subscription)
        cursor = await bus.cursor_now(shared.scope)
        assert int(cursor.rpartition("-")[2]) < HIGHEST
        await bus.emit(ChangeEvent(shared.scope, {"last"}))
        found = await take_until(subscription, "last")
        assert {path for event in found for path in event.changed_paths} == {"last"}
        with bus.subscribe(shared.scope, after=await bus.cursor_now(shared.scope)) as late:
            await bus.emit(ChangeEvent(shared.scope, {"later"}))
            assert "forged" not in {path for event in await take_until(late, "later") for path in event.changed_paths}


async def test_an_event_with_a_stamp_just_beyond_the_servers_is_ignored(shared: World) -> None:
    """An attacker would have blocks sent again until the server reaches the stamp: on a quiet server, for days."""
    with attacked(shared) as (bus, subscription):
        await level(bus)
        await bus.ready(shared.scope)
        stamp = int((await bus.cursor_now(shared.scope)).rpartition("-")[2])
        forge(shared, stamp + (3_600_000_000 if shared.kind == REDIS else 1_000))
        await soon(lambda: bus.health().ignored)
        await check_delivery(shared, bus, subscription)


def forge(world: World, stamp: int) -> None:
    """Send an event that is well formed except for its stamp."""
    event = {"scope": world.scope, "paths": ["forged"], "origin": None, "audience": None}
    if isinstance(world.server, PostgresServer):
        with sql(world.server, NOBODY) as attacker:
            attacker.execute("select pg_notify('reactive', %s)", (f"{stamp} {json.dumps([event])}",))
        return
    with Redis.from_url(world.url) as attacker_on_redis:
        birth = attacker_on_redis.hget(f"{ROOT}:root", "birth").decode()
        last = int(attacker_on_redis.zscore(f"{ROOT}:scopes", world.scope) or 0)
        message = f"e {birth} {stamp} {last} {json.dumps(event)}"
        attacker_on_redis.publish(f"{ROOT}:scope:{world.scope}", message)


async def test_a_forged_stamp_hides_no_request_to_end_streams(redis: RedisServer) -> None:
    """An attacker would keep the streams of a user open whom the application has signed out during an interruption."""
    with contextlib.ExitStack() as stack, Redis.from_url(redis.url) as attacker:
        world = World(REDIS, redis, stack)
        bus, other = world.impatient_process(), world.process()
        await level(bus, other)
        with bus.subscribe(world.scope, connection=ConnectionInfo("tab", "ann")) as subscription:
            await bus.ready(world.scope)
            birth = attacker.hget(f"{ROOT}:root", "birth").decode()
            attacker.publish(f"{ROOT}:all", f'u {birth} {HIGHEST} ["p", "nobody", null]')
            await soon(lambda: bus.health().ignored)
            for client in attacker.client_list(_type="pubsub"):
                attacker.client_kill_filter(_id=client["id"])
            other.close_user("ann")
            await soon(lambda: subscription._subscriber.closed)


def test_a_level_is_plausible_only_as_far_as_time_has_passed() -> None:
    """An attacker would hide changes from returning pages with a level that has not been reached."""
    known = KnownLevel()
    known.note(1_000_000)
    assert known.may_include(1_000_000)
    assert not known.may_include(3_600_000_000)
    known.note(1)
    assert known.may_include(1_000_000)
