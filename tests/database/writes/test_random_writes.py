"""No row changes without an event that meets each fact about it, however it is written."""

from __future__ import annotations

from random import Random

import pytest
from sqlalchemy import Engine, create_engine

from .random_writes import Writer
from .support import Emitted, all_rows, missed


@pytest.mark.parametrize("seed", range(3))
def test_no_changed_row_is_missed_however_it_is_written(engine: Engine, emitted: Emitted, seed: int) -> None:
    observer = create_engine(engine.url)
    writer = Writer(engine, Random(seed))
    before = all_rows(observer)
    for _ in range(60):
        writer.transaction()
        after = all_rows(observer)
        paths = emitted.paths()
        assert not list(missed(before, after, paths)), (writer.name, paths)
        before = after
    writer.close()
    observer.dispose()
