"""The secret that debug mode keeps in a file, so that open pages stay live when the server restarts.

It is in a folder of the working directory, which ignores itself in Git. Only its owner can read it. Where others may
write to the working directory, they may have put something in its place, so nothing that is found there is overwritten,
and no link is followed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import stat
from pathlib import Path

__all__ = ["FOLDER", "kept_secret"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

FOLDER = ".reactive"
"""The name of the folder."""
_FILE = "secret"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_AS_IT_IS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, and no pipe that waits
_SHORTEST, _LONGEST = 32, 256  # bytes


def kept_secret(directory: Path) -> str | None:
    """Return the secret that is kept below a directory, after making one if there is none.

    Several processes that begin at the same time get the same one.

    Returns:
        The secret. ``None`` if it cannot be written, if others can read it, or if the folder is not the owner's.
    """
    folder = directory / FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_own(folder.lstat(), stat.S_IFDIR):
            logger.warning("%s is not used: it belongs to somebody else, or is a link", folder)
            return None
        if not (folder / _FILE).exists():
            _make(folder)
        return _read(folder / _FILE)
    except OSError as error:
        logger.info("no secret can be kept in %s: %s", folder, error)
        return None


def _make(folder: Path) -> None:
    with contextlib.suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="ascii") as file:
        file.write("*\n")
    draft = folder / f"{_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32))
    try:
        with contextlib.suppress(FileExistsError):  # of another process, which was faster
            os.link(draft, folder / _FILE)
    finally:
        draft.unlink()


def _read(path: Path) -> str | None:
    with open(os.open(path, _AS_IT_IS), "rb") as file:
        status = os.fstat(file.fileno())
        is_private = _is_own(status, stat.S_IFREG) and (os.name != "posix" or not status.st_mode & _OTHERS)
        content = file.read(_LONGEST + 1) if is_private else b""
    if not is_private or not _SHORTEST <= len(content) <= _LONGEST or not content.isascii():
        logger.warning("%s is not used: others can read it, or it holds no secret. Delete it to get a new one", path)
        return None
    return content.decode()


def _is_own(status: os.stat_result, kind: int) -> bool:
    """Return whether a file is of a kind, and belongs to the user of this process."""
    return stat.S_IFMT(status.st_mode) == kind and (os.name != "posix" or status.st_uid == os.getuid())
