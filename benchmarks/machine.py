"""The machine: which core runs what, how many sockets there may be, how much processor time a process has used."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import resource
import sys
import time
from pathlib import Path

__all__ = [
    "CLIENT_CORE",
    "CORES",
    "SERVER_CORE",
    "cpu_seconds",
    "describe",
    "pin",
    "raise_file_limit",
    "resident_bytes",
]

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[0]
CLIENT_CORE = CORES[-1]


def pin(*cores: int) -> None:
    """Run this process, and those that it starts, on these cores alone."""
    os.sched_setaffinity(0, cores)


def raise_file_limit() -> int:
    """Allow as many open sockets as the system lets us have, and return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (max(hard, 65536), hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
            return wanted
    return soft


def cpu_seconds(pid: int) -> float:
    """Return the processor time of another process, all threads, user and kernel, in nanosecond steps."""
    return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) returns on Linux


def resident_bytes(pid: int) -> int:
    """Return the anonymous resident memory of a process: what it alone has allocated."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) * 1024


def describe() -> dict[str, str]:
    """Return what a reader needs to know of the machine."""
    model = "unknown"
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    load = " ".join(f"{each:.2f}" for each in os.getloadavg())
    return {
        "processor": model,
        "cores": str(len(CORES)),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "load at the start": load,
        **{name: _version(name) for name in _PACKAGES},
    }


_PACKAGES = (
    "starlette-reactive",
    "uvicorn",
    "uvloop",
    "httptools",
    "starlette",
    "sse-starlette",
    "fastapi",
    "jinja2-fragments",
    "datastar-py",
    "django-eventstream",
    "pyview-web",
)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
