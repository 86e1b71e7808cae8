"""From what a transaction writes to the events that follow its commit.

An engine's events give each statement before and after its execution (``watcher``). A plan says, once per statement,
which values of which columns it writes (``plans``), and with the values of one execution this gives the images of the
rows, old and new (``images``). What a row was before is read where the statement does not say it (``old_rows``), and
foreign keys say which other rows change (``cascades``). Text is only told apart by its first word (``texts``). The
changes (``changes``) stay with the connection until its transaction ends (``work``, ``commits``).
"""

from __future__ import annotations

from .watcher import watch_writes

__all__ = ["watch_writes"]
