"""Private servers of Redis, PostgreSQL and PgBouncer that a test can kill and freeze. They use installed binaries.

Each has its own data, and its own port, which survives restarts. As a context manager, a server starts on entry, and
its processes and its data are removed on exit, whatever happened in between.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psutil  # type: ignore[import-untyped]

from ..support import quiet_port

__all__ = [
    "EngineServer",
    "PgBouncer",
    "PostgresServer",
    "RedisServer",
    "pgbouncer_binary",
    "postgres_binaries",
    "redis_binary",
]

_START_SECONDS = 60.0  # on a busy machine, including the recovery of PostgreSQL
_POSTGRES_USER = "postgres"  # the user to run the server as if the tests run as root, which it refuses

_REDIS_SETTINGS = ("--appendonly", "no", "--bind", "127.0.0.1", "--databases", "16")
_POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # written data survives a killed process, although not a crash of the machine
    "max_connections": "200",
    "shared_buffers": "16MB",
    "max_wal_size": "64MB",
    "dynamic_shared_memory_type": "mmap",  # files in the data directory, which are removed with it
    "logging_collector": "off",
}


def redis_binary() -> Path | None:
    """Return the path of the Redis server, if it is installed."""
    found = shutil.which("redis-server")
    return None if found is None else Path(found)


def postgres_binaries() -> Path | None:
    """Return the directory of ``initdb`` and ``postgres`` of the newest installed version."""
    found = [each.parent for each in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    return None if on_path is None else Path(on_path).resolve().parent


def pgbouncer_binary() -> Path | None:
    """Return the path of PgBouncer, if it is installed."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    return None if found is None else Path(found)


class EngineServer(ABC):
    """A server that a test owns.

    Args:
        directory: The directory of its log.
    """

    def __init__(self, directory: Path) -> None:
        self.port = quiet_port()
        self.log_path = directory / f"{type(self).__name__}-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: Callable[[], object] = weakref.finalize(self, lambda: None)

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL for ``ReactiveBus.from_url``."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether it serves clients now."""

    @abstractmethod
    def _launch(self) -> subprocess.Popen[bytes]: ...

    @abstractmethod
    def _clear(self) -> None:
        """Remove what its processes leave behind."""

    def start(self) -> None:
        """Start the server and wait until it answers."""
        assert self._process is None, "the server is already running"
        process = self._process = self._launch()
        self._finalizer = weakref.finalize(self, _kill_tree, process)  # in case the test process exits early
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            assert process.poll() is None, f"the server ended: {self.log_path.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"the server does not answer: {self.log_path.read_text()[-3000:]}"
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill all its processes with SIGKILL, like a crash. Idempotent."""
        if self._process is not None:
            _kill_tree(self._process)
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again, on the same port and with the same data."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Suspend all its processes with SIGSTOP. Connections stay open, but nothing is answered."""
        for process in self._processes():
            _signal(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume frozen processes."""
        for process in self._processes():
            _signal(process, signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its data."""
        self.kill()
        self._clear()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _processes(self) -> list[psutil.Process]:
        assert self._process is not None, "the server is not running"
        return _tree(self._process)


def _tree(root: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return a process and its descendants. Those of PostgreSQL have their own process groups."""
    try:
        parent = psutil.Process(root.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _kill_tree(root: subprocess.Popen[bytes]) -> None:
    if root.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            root.send_signal(signal.SIGSTOP)  # so that it starts no further child
        processes = _tree(root)
        for process in processes:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(processes[1:], timeout=10)
    root.wait()


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        process.send_signal(number)


class RedisServer(EngineServer):
    """A Redis server. By default it loses its data when it ends.

    Args:
        directory: The directory of its log and its data file.
        settings: More settings as on the command line, such as ``("--maxmemory", "10mb")``.
    """

    def __init__(self, directory: Path, *, settings: tuple[str, ...] = ()) -> None:
        super().__init__(directory)
        self._settings = settings
        self._file = directory / f"redis-{self.port}.rdb"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def answers(self) -> bool:
        try:
            return self.command("PING").startswith(b"+PONG")
        except OSError:
            return False

    def command(self, *words: str, timeout: float = 10) -> bytes:
        """Send one command on a new connection, and return the first bytes of the raw answer."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(request.encode())
            return connection.recv(65536)

    def save(self) -> bytes:
        """Save its data to the file, and return the content for :meth:`restore`."""
        answer = self.command("SAVE")
        assert answer.startswith(b"+OK"), answer
        return self._file.read_bytes()

    def restore(self, data: bytes) -> None:
        """Replace its data file, which it reads when it starts. The server must not be running."""
        assert self._process is None, "kill the server first: it reads the file when it starts"
        self._file.write_bytes(data)

    def _launch(self) -> subprocess.Popen[bytes]:
        binary = redis_binary()
        assert binary is not None, "redis-server is not installed"
        options = ("--port", str(self.port), "--dir", str(self._file.parent), "--dbfilename", self._file.name)
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [binary, *options, "--save", "", *_REDIS_SETTINGS, *self._settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _clear(self) -> None:
        self._file.unlink(missing_ok=True)


class PostgresServer(EngineServer):
    """A PostgreSQL server with one superuser and one database, both named ``postgres``, and no password.

    Its data is in its own temporary directory, because it may run as a user who cannot read the tests' directories.

    Args:
        directory: The directory of its log.
        settings: More settings as in ``postgresql.conf``.
    """

    def __init__(self, directory: Path, *, settings: dict[str, str] | None = None) -> None:
        super().__init__(directory)
        self._settings = {**_POSTGRES_SETTINGS, "port": str(self.port), **(settings or {})}
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def answers(self) -> bool:
        ready = subprocess.run(
            [_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-t", "5"],
            check=False,
        )
        return ready.returncode == 0

    def _launch(self) -> subprocess.Popen[bytes]:
        if self._directory is None:
            self._directory = _private_directory()
            _run("cp", "-a", f"{_fresh_data()}/.", self._directory.name)
        command = [str(_binary("postgres")), "-D", self._directory.name]
        command += [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._directory.name,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_as_postgres(),
            )

    def _clear(self) -> None:
        if self._directory is not None:
            self._remove_shared_memory(Path(self._directory.name, "postmaster.pid"))
            self._directory.cleanup()
            self._directory = None

    @staticmethod
    def _remove_shared_memory(lock_file: Path) -> None:
        """Remove the segment that a killed server leaves behind. The seventh line of the lock file names it."""
        with contextlib.suppress(OSError, IndexError):
            segment = lock_file.read_text().splitlines()[6].split()[1]
            subprocess.run(["ipcrm", "-m", segment], check=False, capture_output=True)


class PgBouncer(EngineServer):
    """A pooler in front of a PostgreSQL server.

    Args:
        directory: The directory of its log.
        behind: The server.
        settings: More settings as in ``pgbouncer.ini``.
    """

    def __init__(self, directory: Path, behind: PostgresServer, *, settings: dict[str, str] | None = None) -> None:
        super().__init__(directory)
        self._behind = behind
        self._settings = settings or {}
        self._directory = _private_directory()

    @property
    def url(self) -> str:
        return self._behind.url.replace(f":{self._behind.port}", f":{self.port}")

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False

    def _launch(self) -> subprocess.Popen[bytes]:
        binary = pgbouncer_binary()
        assert binary is not None, "pgbouncer is not installed"
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "any",
            **self._settings,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        database = f"postgres = host=127.0.0.1 port={self._behind.port} user=postgres"
        path = Path(self._directory.name, "pgbouncer.ini")
        path.write_text("\n".join(["[databases]", database, "[pgbouncer]", *lines, ""]))
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [binary, path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_as_postgres(),
            )

    def _clear(self) -> None:
        self._directory.cleanup()


def _binary(name: str) -> Path:
    binaries = postgres_binaries()
    assert binaries is not None, "PostgreSQL is not installed"
    return binaries / name


def _as_postgres() -> dict[str, Any]:
    """Return the arguments that run a process as a user that PostgreSQL accepts."""
    if os.geteuid() != 0:
        return {}
    return {"user": _POSTGRES_USER, "group": _POSTGRES_USER, "extra_groups": ()}


def _private_directory() -> tempfile.TemporaryDirectory[str]:
    directory = tempfile.TemporaryDirectory(prefix="postgres-")
    if os.geteuid() == 0:
        shutil.chown(directory.name, _POSTGRES_USER, _POSTGRES_USER)
    return directory


@functools.cache
def _templates() -> tempfile.TemporaryDirectory[str]:
    directory = _private_directory()
    _run(
        *(str(_binary("initdb")), "-D", directory.name, "-U", "postgres", "--auth", "trust", "--no-sync"),
        *("--encoding", "UTF8", "--locale", "C", "--wal-segsize", "1"),
        **_as_postgres(),
    )
    return directory


def _fresh_data() -> str:
    """Return the data directory of a server that has never run. It is created once, and copied for each server."""
    return _templates().name


def _run(*command: str, **options: Any) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", **options)
    assert done.returncode == 0, f"{command[0]} failed: {done.stderr[-3000:]}"
