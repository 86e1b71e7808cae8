"""Which server serves a stream, and whether it stops.

ASGI informs an application of a shutdown only after its responses have ended, so endless responses must find out by
themselves. A server runs as a task of the event loop that calls the application. So it is found in the frames of the
loop's tasks, whatever stops it, whichever thread it runs in, and whatever middleware wraps the application.
Where a loop has several servers, the address that a request arrived at says which one it is.

| server | its object | stops when |
|---|---|---|
| uvicorn, also in gunicorn's workers | ``Server`` | ``should_exit`` is set, or it listens no more |
| hypercorn | ``WorkerContext`` | ``terminated`` is set |
| gunicorn's own worker ``asgi`` | ``ASGIWorker`` | ``alive`` is not set, or it listens no more |

Of other servers, only what sse-starlette's ``AppStatus`` and the handler of SIGTERM show is known.
"""

from __future__ import annotations

import contextlib
import signal
import weakref
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from anyio.lowlevel import RunVar
from sse_starlette.sse import AppStatus
from starlette.types import Scope

from .._core.loops import coroutines

__all__ = ["Server", "server_of", "stopping_servers"]

_MOST_ADDRESSES = 100
"""For how many addresses a loop looks for the server. Middleware may read the address from a header."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How servers of one kind are found and read.

    Args:
        functions: The coroutine functions that run as long as the server does.
        variable: Their local variable that holds the server's object.
        stops: Returns whether the server stops.
        sockets: Returns the sockets that it listens on, from its object and the local variables.
    """

    functions: frozenset[str]
    variable: str
    stops: Callable[[Any], bool]
    sockets: Callable[[Any, Mapping[str, Any]], Iterable[Any]]


def _asyncio_sockets(server: Any, _: Mapping[str, Any]) -> Iterable[Any]:
    return [socket for each in server.servers for socket in each.sockets]


def _hypercorn_sockets(_: Any, variables: Mapping[str, Any]) -> Iterable[Any]:
    sockets = variables["sockets"]
    return [*sockets.secure_sockets, *sockets.insecure_sockets, *sockets.quic_sockets]


def _listens(server: Any) -> bool:
    return any(each.is_serving() for each in server.servers)


_UVICORN = _Kind(
    frozenset({"serve", "main_loop", "shutdown"}),
    "self",
    lambda server: server.should_exit or not _listens(server),
    _asyncio_sockets,
)
_HYPERCORN = _Kind(
    frozenset({"worker_serve"}), "context", lambda context: context.terminated.is_set(), _hypercorn_sockets
)
_GUNICORN = _Kind(
    frozenset({"_serve"}), "self", lambda worker: not (worker.alive and _listens(worker)), _asyncio_sockets
)
_KINDS = {
    "uvicorn.server": _UVICORN,
    "hypercorn.asyncio.run": _HYPERCORN,
    "hypercorn.trio.run": _HYPERCORN,
    "gunicorn.workers.gasgi": _GUNICORN,
}
"""The kinds of servers, by the module of these functions."""
_FUNCTIONS = frozenset[str]().union(*(kind.functions for kind in _KINDS.values()))


@dataclass(frozen=True, slots=True)
class _Found:
    """A server that was found in the event loop."""

    kind: _Kind
    reference: weakref.ref[Any]
    addresses: frozenset[Hashable]

    def is_stopping(self) -> bool:
        server = self.reference()
        return server is None or self.kind.stops(server)


class Server:
    """The server of a stream. Where that is uncertain, it stands for all that it may be."""

    __slots__ = ("__weakref__", "_candidates")

    def __init__(self, candidates: tuple[_Found, ...]) -> None:
        self._candidates = candidates

    def is_stopping(self) -> bool:
        """Return whether it stops."""
        if not AppStatus.enable_automatic_graceful_drain:
            return AppStatus.should_exit
        if self._candidates:
            return any(found.is_stopping() for found in self._candidates)
        return AppStatus.should_exit or getattr(_handler_of_sigterm(), "should_exit", False) is True

    def native(self) -> object | None:
        """Return the server's own object, if that is known."""
        if not self._candidates:
            return _handler_of_sigterm()
        return self._candidates[0].reference() if len(self._candidates) == 1 else None


class _LoopServers:
    """The servers of one event loop, by the addresses of their streams."""

    def __init__(self) -> None:
        self._by_address: dict[Hashable, Server] = {}
        self._in_use: weakref.WeakSet[Server] = weakref.WeakSet()

    def at(self, address: Hashable) -> Server:
        if address not in self._by_address and len(self._by_address) >= _MOST_ADDRESSES:
            address = None
        server = self._by_address.get(address)
        if server is None or server.is_stopping():  # another one may listen at its address
            server = self._by_address[address] = _find_server(address)
            self._in_use.add(server)
        return server

    def stopping(self) -> Collection[Server]:
        return {server for server in self._in_use if server.is_stopping()}


def _find_server(address: Hashable) -> Server:
    found = tuple({id(each.reference()): each for each in _servers_of_loop()}.values())
    return Server(tuple(each for each in found if address in each.addresses) or found)


def _servers_of_loop() -> Iterator[_Found]:
    for coroutine in coroutines():
        code = getattr(coroutine, "cr_code", None)
        if code is None or code.co_name not in _FUNCTIONS or coroutine.cr_frame is None:
            continue
        kind = _KINDS.get(coroutine.cr_frame.f_globals.get("__name__", ""))
        if kind is not None and code.co_name in kind.functions:
            variables = coroutine.cr_frame.f_locals
            with contextlib.suppress(AttributeError, KeyError):  # a version that is built in another way
                server = variables[kind.variable]
                kind.stops(server)
                yield _Found(kind, weakref.ref(server), frozenset(_addresses(kind.sockets(server, variables))))


def _addresses(sockets: Iterable[Any]) -> Iterator[Hashable]:
    for socket in sockets:
        with contextlib.suppress(OSError):  # it is closed
            name = socket.getsockname()
            yield name[1] if isinstance(name, tuple) else name


def _address_of(asgi_scope: Scope) -> Hashable:
    """Return the port, or the path, of the socket that a request arrived at."""
    host, port = asgi_scope.get("server") or (None, None)
    return host if port is None else port


def _handler_of_sigterm() -> object | None:
    """Return the object whose method handles SIGTERM in this process. uvicorn's server does."""
    return getattr(signal.getsignal(signal.SIGTERM), "__self__", None)


_loop_servers: RunVar[_LoopServers] = RunVar("starlette_reactive_servers")


def _loop_servers_now() -> _LoopServers:
    found = _loop_servers.get(None)
    if found is None:
        found = _LoopServers()
        _loop_servers.set(found)
    return found


def server_of(asgi_scope: Scope) -> Server:
    """Return the server of a request in the running event loop."""
    return _loop_servers_now().at(_address_of(asgi_scope))


def stopping_servers() -> Collection[Server]:
    """Return the servers of streams in the running event loop that stop."""
    return _loop_servers_now().stopping()
