"""What programs need besides a bus: emitting without an event loop, and the PostgreSQL schema for migrations."""

from ._engines.postgres.schema import DDL as POSTGRES_DDL
from ._engines.publisher import Publisher

__all__ = ["POSTGRES_DDL", "Publisher"]
