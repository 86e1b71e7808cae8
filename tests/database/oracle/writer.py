"""A process that commits random changes, and emits them to a bus: ``python -m tests.database.oracle.writer``."""

from __future__ import annotations

import sys
from random import Random

from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from starlette_reactive import ReactiveBus
from starlette_reactive._database.tracking import track

from .commits import COMMITS


def main(url: str, isolation: str, number: int, seed: str) -> None:
    """Commit random changes.

    Args:
        url: The database, on which the bus runs too.
        isolation: The isolation level of the transactions.
        number: How many changes.
        seed: Repeats them.
    """
    engine = create_engine(url.replace("postgresql", "postgresql+psycopg", 1), isolation_level=isolation)
    bus = ReactiveBus.from_url(url)
    bus.start()
    tracking = track(engine, bus.emit_sync)
    random = Random(seed)
    for _ in range(number):
        with Session(engine) as session:
            try:
                COMMITS[random.choice(list(COMMITS))](session, random)
                session.commit()
            except (SQLAlchemyError, LookupError):  # also what cannot be serialized
                continue
    tracking.stop()
    bus.stop()
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
