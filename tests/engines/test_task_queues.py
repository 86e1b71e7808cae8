"""The programs of the guide to task queues, run by real workers: what a job commits reaches other processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from redis import Redis

from ..docs.blocks import DOCS, blocks_of
from ..support import require
from .conftest import REDIS, Servers, World, level

WORKERS = {
    "celery": ("celery", "-A", "celery_tasks", "worker", "--concurrency", "1", "--loglevel", "WARNING"),
    "rq": ("rq.cli", "worker", "--burst"),
    "arq": ("arq", "arq_tasks.WorkerSettings", "--burst"),
    "dramatiq": ("dramatiq", "dramatiq_tasks", "--processes", "1", "--threads", "1"),
}
ENQUEUE = {
    "celery": "from celery_tasks import finish; finish.delay(1)",
    "rq": "from rq_tasks import finish, queue; queue.enqueue(finish, 1)",
    "arq": (
        "import asyncio, arq, arq_tasks\n"
        "async def main():\n"
        "    pool = await arq.create_pool(arq_tasks.WorkerSettings.redis_settings)\n"
        "    await pool.enqueue_job('finish', 1)\n"
        "asyncio.run(main())"
    ),
    "dramatiq": "from dramatiq_tasks import finish; finish.send(1)",
}
SEED = """
from models import Base, Task, sessions
from starlette_reactive.sqlalchemy import suppressed
with sessions() as session, suppressed():
    Base.metadata.create_all(session.get_bind())
    session.add(Task(id=1, title="Cake", board_id={board}))
    session.commit()
"""
DIE = """
from sqlalchemy import event
from sqlalchemy.orm import Session

@event.listens_for(Session, "after_commit")
def die(session):
    if os.environ.get("DIE_AFTER_COMMIT") == "1":
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def arq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with arq and the old redis-py that it needs."""
    folder = tmp_path_factory.mktemp("arq")
    command = (sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), "arq>=0.28")
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    require(installed.returncode == 0, f"a package index ({installed.stderr[-500:]})")
    return folder


class Programs:
    """The files of the guide in a folder, with a database that has one task on a board of its own.

    Args:
        folder: The folder.
        environment: The variables that they read.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self.board: int = random.randrange(1, 1_000_000_000)
        for block in blocks_of(DOCS / "guides/jobs.md"):
            if block.language == "python":
                (folder / block.title.partition(" ")[0]).write_text(block.text)
        with (folder / "models.py").open("a") as models:
            models.write(DIE)
        self.run("-c", SEED.format(board=self.board))

    def run(self, *words: str) -> None:
        """Run a program to its end."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")

    @contextmanager
    def worker(self, queue: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Run a worker in a process group of its own, which is killed in the end."""
        log = self._folder / "worker.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *WORKERS[queue]],
                cwd=self._folder,
                env={**self._environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        try:
            yield process
            assert process.poll() != 0 or "Traceback" not in log.read_text()
        except BaseException as error:
            error.add_note(log.read_text())
            raise
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def programs(
    request: pytest.FixtureRequest, shared: World, servers: Servers, tmp_path: Path
) -> Callable[[str], Programs]:
    broker = f"{servers[REDIS].url.rpartition('/')[0]}/1"
    with Redis.from_url(broker) as client:
        client.flushdb()

    def new(queue: str) -> Programs:
        environment = {
            "QUEUE": broker,
            "RQ_REDIS_URL": broker,
            "REACTIVE_BUS": shared.url,
            "DATABASE_URL": f"sqlite:///{tmp_path}/boards.sqlite3",
            "ASYNC_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/boards.sqlite3",
            "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]),
        }
        if queue == "arq":
            environment["PYTHONPATH"] = f"{request.getfixturevalue('arq')}{os.pathsep}{environment['PYTHONPATH']}"
        return Programs(tmp_path, environment)

    return new


@pytest.mark.parametrize("dies", [False, True], ids=["lives", "is killed after its commit"])
@pytest.mark.parametrize("queue", WORKERS)
async def test_what_a_job_commits_reaches_other_processes(
    shared: World, programs: Callable[[str], Programs], queue: str, dies: bool
) -> None:
    files = await anyio.to_thread.run_sync(programs, queue)
    there = shared.process()
    await level(there)
    with there.subscribe(f"board:{files.board}") as subscription:
        assert await there.ready(f"board:{files.board}")
        await anyio.to_thread.run_sync(files.run, "-c", ENQUEUE[queue])
        with files.worker(queue, DIE_AFTER_COMMIT="1" if dies else "0") as worker:
            with anyio.fail_after(60):
                assert (await anext(subscription)).changed_paths == {"tasks"}
            if not dies:
                if queue in ("celery", "dramatiq"):
                    worker.terminate()
                assert await anyio.to_thread.run_sync(worker.wait) == 0


async def test_what_a_script_commits_reaches_other_processes(
    shared: World, programs: Callable[[str], Programs]
) -> None:
    files = await anyio.to_thread.run_sync(programs, "none")
    there = shared.process()
    await level(there)
    with there.subscribe(f"board:{files.board}") as subscription:
        assert await there.ready(f"board:{files.board}")
        await anyio.to_thread.run_sync(files.run, "finish_board.py", str(files.board))
        with anyio.fail_after(60):
            assert (await anext(subscription)).changed_paths == {"tasks"}
