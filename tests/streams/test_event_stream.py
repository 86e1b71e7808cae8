from __future__ import annotations

import datetime
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from pydantic import BaseModel
from sse_starlette import EventSourceResponse
from starlette.templating import Jinja2Templates

from starlette_reactive import EventStream, Fragment, SSEEvent
from starlette_reactive._core.failures import Failures
from starlette_reactive._streams import response

from ..support import Connection, connect, environment, eventually

ENV = environment(page="<h1>{% block title %}{{ title.upper() }}{% endblock %}</h1>{% block empty %}{% endblock %}")


async def each(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        await checkpoint()
        yield item


async def sent(stream: EventStream) -> Connection:
    """Let a stream run to its end."""
    async with connect(stream) as connection:
        with anyio.fail_after(20):
            await connection.ended.wait()
    assert connection.complete
    return connection


async def test_a_stream_is_an_event_source_response_with_its_headers() -> None:
    stream = EventStream(each())
    assert isinstance(stream, EventSourceResponse)
    headers = dict((await sent(stream)).start["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-accel-buffering"] == b"no"


async def test_every_kind_of_value_is_sent_as_documented() -> None:
    class Model(BaseModel):
        day: datetime.date

    stream = EventStream(
        each(
            "text",
            {"a": 1, "model": Model(day=datetime.date(2026, 1, 2))},
            Fragment("page.html", "title", target="doc-title", title="new"),
            Fragment("page.html", "title", title="unnamed"),
            SSEEvent("x", event="e", id="7", retry=5),
            b"event: ready\ndata: frame\n\n",
        ),
        templates=ENV,
        event_type="note",
    )
    connection = await sent(stream)
    assert [(frame.event, frame.data) for frame in connection.updates] == [
        ("note", "text"),
        ("note", '{"a":1,"model":{"day":"2026-01-02"}}'),
        ("doc-title", "NEW"),
        (None, "UNNAMED"),
        ("e", "x"),
        ("ready", "frame"),
    ]
    assert (connection.updates[4].id, connection.updates[4].retry) == ("7", 5)


async def test_starlettes_templates_are_taken_too() -> None:
    stream = EventStream(each(Fragment("page.html", "title", title="x")), templates=Jinja2Templates(env=ENV))
    assert [frame.data for frame in (await sent(stream)).updates] == ["X"]


async def test_a_plain_iterable_is_iterated_in_a_thread() -> None:
    def generate() -> Iterator[str]:
        yield "a"
        yield "b"

    assert [frame.data for frame in (await sent(EventStream(generate()))).updates] == ["a", "b"]


async def test_an_empty_fragment_is_sent_and_clears_the_element() -> None:
    stream = EventStream(each(Fragment("page.html", "empty", target="box")), templates=ENV)
    assert [(frame.event, frame.data) for frame in (await sent(stream)).updates] == [("box", "")]


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what has failed in other tests."""
    monkeypatch.setattr(response, "_failures", Failures(response.logger))


@pytest.mark.usefixtures("failures")
@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (Fragment("page.html", "title", target="box"), "'title' is undefined"),
        (Fragment("page.html", "titel"), "titel"),
        (Fragment("missing.html", "title"), "missing.html"),
        (object(), "not object"),
        (7, "not int"),
        ({"a": object()}, "sending {'a': <object object"),
    ],
)
async def test_a_value_that_cannot_be_sent_is_skipped_and_logged(
    item: object, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        connection = await sent(EventStream(each("before", item, "after"), templates=ENV))
    assert [frame.data for frame in connection.updates] == ["before", "after"]
    assert reason in caplog.text


async def test_in_debug_mode_the_error_stands_in_the_fragments_place() -> None:
    stream = EventStream(each(Fragment("page.html", "title", target="box")), templates=ENV, debug=True)
    (frame,) = (await sent(stream)).updates
    assert frame.event == "box"
    assert frame.data == (
        '<div class="reactive-block-error" data-block="title"><strong>UndefinedError</strong>: '
        "&#x27;title&#x27; is undefined</div>"
    )


@pytest.mark.usefixtures("failures")
async def test_a_value_that_cannot_be_sent_again_and_again_is_logged_with_one_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(3):
        await sent(EventStream(each(*[7] * 10, *[Fragment("page.html", "title")] * 10), templates=ENV))
    assert caplog.text.count("Traceback") == 2
    assert caplog.text.count("TypeError: ") == caplog.text.count("UndefinedError: ") == 1


@pytest.mark.usefixtures("failures")
async def test_fragments_without_templates_are_an_error_that_names_the_mend(caplog: pytest.LogCaptureFixture) -> None:
    assert (await sent(EventStream(each(Fragment("page.html", "title"))))).updates == []
    assert "pass templates= to EventStream" in caplog.text


async def silent() -> AsyncGenerator[str]:
    await anyio.sleep_forever()
    yield "never"


async def test_the_first_bytes_leave_at_once() -> None:
    async with connect(EventStream(silent())) as connection:
        assert connection.start["status"] == 200
        assert connection.frames != []
        assert connection.updates == []


async def test_silence_is_broken_by_heartbeats() -> None:
    async with connect(EventStream(silent(), heartbeat_interval=0.02)) as connection:
        await eventually(lambda: len([frame for frame in connection.frames if frame.comment == "heartbeat"]) >= 3)


async def test_without_an_interval_there_are_no_heartbeats() -> None:
    async with connect(EventStream(silent(), heartbeat_interval=0)) as connection:
        await anyio.sleep(0.05)
        assert len(connection.frames) == 1


async def test_the_retry_time_comes_at_once_and_with_the_first_data() -> None:
    frames = (await sent(EventStream(each("a", "b"), retry=1234))).frames
    assert [frame.retry for frame in frames] == [1234, 1234, None]


async def test_the_close_event_has_data_so_that_browsers_dispatch_it() -> None:
    frames = (await sent(EventStream(each("a"), close_event="done"))).updates
    assert [(frame.event, bool(frame.data)) for frame in frames] == [(None, True), ("done", True)]


async def test_what_the_generator_raises_reaches_the_server_bare() -> None:
    async def generate() -> AsyncIterator[str]:
        yield "a"
        raise LookupError("broken generator")

    caught: list[BaseException] = []
    async with connect(_catching(EventStream(generate()), caught)) as connection:
        await connection.ended.wait()
    assert [str(error) for error in caught] == ["broken generator"]


def _catching(app: EventStream, caught: list[BaseException]) -> Any:
    async def wrapped(*arguments: Any) -> None:
        try:
            await app(*arguments)
        except LookupError as error:
            caught.append(error)

    return wrapped


@pytest.mark.parametrize("reading", [True, False])
async def test_a_disconnect_closes_the_generator_wherever_it_is(reading: bool) -> None:
    begun, closed = anyio.Event(), list[bool]()

    async def generate() -> AsyncIterator[str]:
        try:
            begun.set()
            while True:
                yield "a"
                await anyio.sleep(0.001)
        finally:
            closed.append(True)

    async with connect(EventStream(generate()), reading=reading) as connection:
        if reading:
            await begun.wait()
        else:
            await anyio.wait_all_tasks_blocked()
        connection.disconnect.set()
        with anyio.fail_after(20):
            await connection.ended.wait()
        assert closed == [True] or not reading


async def test_a_head_request_gets_headers_and_no_stream() -> None:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        raise AssertionError

    with anyio.fail_after(20):
        await EventStream(silent())({"type": "http", "method": "HEAD", "headers": []}, receive, send)
    assert [message["type"] for message in messages] == ["http.response.start", "http.response.body"]
    assert messages[1]["body"] == b""


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EventStream("text"), TypeError, "call the generator function"),
        (lambda: EventStream(silent), TypeError, "call the generator function"),  # type: ignore[arg-type]
        (lambda: EventStream((), templates="templates/"), TypeError, "templates must be"),  # type: ignore[arg-type]
        (lambda: EventStream((), event_type="a\nb"), ValueError, "line break"),
        (lambda: EventStream((), close_event="a\rb"), ValueError, "line break"),
        (lambda: EventStream((), retry=-1), ValueError, "retry"),
        (lambda: EventStream((), heartbeat_interval=-1), ValueError, "ping interval"),
    ],
)
def test_bad_arguments_are_refused(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
