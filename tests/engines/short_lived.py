"""Programs that emit and end at once. Each is a function: ``python -m tests.engines.short_lived NAME ARGUMENT…``.

The environment variable ``BUS`` holds the URL of the engine, and ``PATIENCE`` how many seconds a bus waits for it.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import Any

from starlette_reactive import ChangeEvent, ReactiveBus
from starlette_reactive._engines import Bridge
from starlette_reactive._engines.urls import engine_from_url
from starlette_reactive.engines import Publisher

URL = os.environ["BUS"]
SCOPE = os.environ.get("SCOPE", "board:1")


def new_bus() -> ReactiveBus:
    patience = os.environ.get("PATIENCE")
    if patience is None:
        return ReactiveBus.from_url(URL)
    return ReactiveBus(relay=Bridge(engine_from_url(URL), patience=float(patience)))


bus = new_bus()


def emit(path: str = "a") -> None:
    bus.emit_sync(ChangeEvent(SCOPE, {path}))


# A bus that is not started


def emit_and_exit_at_once() -> None:
    emit()
    os._exit(0)


def emit_and_be_killed() -> None:
    emit()
    os.kill(os.getpid(), signal.SIGKILL)


def emit_on_the_bus_of_a_function() -> None:
    new_bus().emit_sync(ChangeEvent(SCOPE, {"a"}))


def emit_in_a_loop_and_exit_at_once() -> None:
    async def main() -> None:
        emit()
        os._exit(0)

    asyncio.run(main())


def await_an_emit_then_emit_and_exit_at_once() -> None:
    async def main() -> None:
        await bus.emit(ChangeEvent("another", {"b"}))
        emit()
        os._exit(0)

    asyncio.run(main())


def await_a_question_then_emit_and_exit_at_once() -> None:
    async def main() -> None:
        await bus.presence_now("another")
        emit()
        os._exit(0)

    asyncio.run(main())


def end_a_user_and_exit_at_once() -> None:
    bus.close_user("ann")
    os._exit(0)


def emit_in_a_signal_handler() -> None:
    """Emit in signal handlers that interrupt other emits."""
    signal.signal(signal.SIGALRM, lambda *_: emit("handler"))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        bus.emit_sync(ChangeEvent("another", {"b"}))
    signal.setitimer(signal.ITIMER_REAL, 0)
    emit()
    os._exit(0)


def emit_in_threads_and_exit_at_once() -> None:
    threads = [threading.Thread(target=emit, args=(f"p{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)


# A bus that is started


def start_and_emit() -> None:
    bus.start()
    emit()


def start_emit_and_stop() -> None:
    bus.start()
    emit()
    bus.stop()


def start_and_emit_while_the_interpreter_ends() -> None:
    atexit.register(emit)
    bus.start()


def start_and_emit_after_the_main_thread() -> None:
    def wait_and_emit() -> None:
        threading.main_thread().join()
        emit()

    bus.start()
    threading.Thread(target=wait_and_emit).start()


def start_end_a_user_and_stop() -> None:
    bus.start()
    bus.close_user("ann")
    bus.stop()


def start_and_emit_in_many_scopes() -> None:
    bus.start()
    for number in range(1, 13):
        bus.emit_sync(ChangeEvent(f"board:{number}", {"a"}))


# Processes of processes


def emit_in_a_forked_process_of_a_started_bus() -> None:
    bus.start()
    while not bus.health().connected:
        time.sleep(0.001)
    if os.fork() == 0:
        emit_and_exit_at_once()
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))


def emit_in_forked_processes_of_a_bus_that_has_emitted() -> None:
    """Emit in three processes at once, over connections of their own."""
    emit("parent")
    children = []
    for name in ("one", "two"):
        child = os.fork()
        if child == 0:
            for number in range(50):
                emit(f"{name}{number}")
            os._exit(0)
        children.append(child)
    for number in range(50):
        emit(f"parent{number}")
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


def publish_in_forked_processes() -> None:
    """Emit in two processes and several threads with one publisher."""
    publisher = Publisher.from_url(URL)
    publisher.emit(SCOPE, "parent")

    def publish(name: str) -> None:
        for number in range(10):
            publisher.emit(SCOPE, f"{name}{number}")

    child = os.fork()
    names = [f"{'child' if child == 0 else 'parent'}-{number}-" for number in range(4)]
    threads = [threading.Thread(target=publish, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if child == 0:
        os._exit(0)
    publisher.close()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def emit_in_a_pool(start_method: str) -> None:
    with multiprocessing.get_context(start_method).Pool(2) as pool:  # terminates its processes
        pool.map(emit, [f"p{number}" for number in range(4)])


def start_and_emit_in_a_process_of_multiprocessing(start_method: str) -> None:
    process: Any = multiprocessing.get_context(start_method)
    process = process.Process(target=start_and_emit)
    process.start()
    process.join()
    sys.exit(process.exitcode)


# An engine that is down


def say_so_and_emit() -> None:
    print("emitting", flush=True)
    emit()


def start_say_so_and_emit() -> None:
    bus.start()
    print("emitting", flush=True)
    emit()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
