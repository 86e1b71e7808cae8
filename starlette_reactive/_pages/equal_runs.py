"""Equal runs: the tabs of one browser whose updates would be equal requests share one run of the endpoint.

Two tabs that show the same private page replay the same request for each change. The application cannot tell these
requests apart, so one answer is right for both. A stream joins a run that another stream has requested if

- the package's cookie shows that both streams are of one browser, and that browser has the same cookies for both,
- the application, the page and every byte of the request are the same: the address, the headers in their order and the
  cookies, the client's host and the lifespan state,
- and the run has not begun to call the application, so it reads everything that has changed before the stream joins.

The client's port is no part of it. It differs for each connection, and no byte of a request shows it. A stream that
comes after the run has begun requests the next run, which those that come later can join too.

The run renders the blocks of all its streams. It waits for one turn, takes one place, and runs in a copy of the context
of the group that requested it, which has no context variable of a viewer's request. Its failures, and the cookies that
it sets, concern all who have joined. It goes on as long as one of them waits for it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

import anyio
from anyio.lowlevel import RunVar

from .._core.emit_filters import caused_by_update
from .._core.errors import ReactiveError
from .._core.loops import spawn
from .._core.reads import Reads, current_reads
from .._streams.rendering import Rendered
from .update import Update, UpdateRunner

__all__ = ["EqualRuns", "equal_runs_of_loop", "request_of"]


def request_of(runner: UpdateRunner) -> Hashable:
    """Return what is equal for equal requests of one application.

    Objects in the lifespan state count as equal only if they are the same. The result is valid as long as the runner.
    """
    asgi_scope = runner.asgi_scope
    client = asgi_scope.get("client")
    return (
        id(runner.app),
        runner.claim.page,
        asgi_scope["scheme"],
        asgi_scope["raw_path"],
        asgi_scope["query_string"],
        asgi_scope["root_path"],
        asgi_scope.get("http_version"),
        tuple(asgi_scope.get("server") or ()),
        client and client[0],
        tuple((name, value) for name, value in asgi_scope["headers"]),
        tuple((name, id(value)) for name, value in asgi_scope["state"].items()),
    )


@dataclass(eq=False, slots=True)
class _Run:
    update: Update
    outcome: Rendered | Exception
    reads: Reads | None  # of the group that has requested it
    waiting: int = 0  # streams
    cancel_scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)


class EqualRuns:
    """The runs of one event loop that others may join. Not thread-safe."""

    def __init__(self) -> None:
        self._runs: dict[Hashable, _Run] = {}  # the newest of each request

    async def run(
        self, request: Hashable, update: Update, start: Callable[[Update], Awaitable[Rendered]]
    ) -> tuple[Update, Rendered]:
        """Return the update whose run has rendered the blocks of an update, and the HTML of these blocks.

        Args:
            request: What is equal for equal requests.
            update: The update. If it joins another one, that renders its blocks too.
            start: Runs an update. It is called in a task of its own. What it raises, each stream that has joined
                raises.
        """
        key = request, caused_by_update.get()  # what the run emits depends on it
        run = self._runs.get(key)
        if run is None or run.update.has_begun:
            run = self._runs[key] = self._start(key, update, start)
        else:
            run.update.blocks += update.blocks
        try:
            await self._wait(key, run)
        finally:
            _add_reads(run.reads)
        if isinstance(run.outcome, Exception):
            raise run.outcome
        rendered = run.outcome
        return run.update, {ref.key: rendered[ref.key] for ref in update.blocks}

    def _start(self, key: Hashable, update: Update, start: Callable[[Update], Awaitable[Rendered]]) -> _Run:
        own = Update(update.page, list(update.blocks))
        cancelled = ReactiveError(f"the task of an update of the page {update.page} was cancelled")
        run = _Run(own, cancelled, current_reads())

        async def execute() -> None:
            try:
                with run.cancel_scope:
                    run.outcome = await start(run.update)
            except Exception as error:  # noqa: BLE001 - raised in the tasks that wait for it
                run.outcome = error
            finally:
                self._forget(key, run)
                run.ended.set()

        name = f"starlette-reactive equal updates of {update.page}"
        spawn(execute, name=name, context=contextvars.copy_context())
        return run

    async def _wait(self, key: Hashable, run: _Run) -> None:
        run.waiting += 1
        try:
            await run.ended.wait()
        except anyio.get_cancelled_exc_class():
            if run.waiting == 1:
                self._forget(key, run)
                run.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await run.ended.wait()
            raise
        finally:
            run.waiting -= 1

    def _forget(self, key: Hashable, run: _Run) -> None:
        if self._runs.get(key) is run:
            del self._runs[key]


def _add_reads(reads: Reads | None) -> None:
    """Add what a run has read to the reads of a group that has joined it."""
    own = current_reads()
    if reads is not None and own is not None and own is not reads:
        for each in reads.entries:
            own.add(each)


_equal_runs: RunVar[EqualRuns] = RunVar("starlette_reactive_equal_runs")


def equal_runs_of_loop() -> EqualRuns:
    """Return the runs of the running event loop."""
    runs = _equal_runs.get(None)
    if runs is None:
        runs = EqualRuns()
        _equal_runs.set(runs)
    return runs
