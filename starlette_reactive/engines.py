"""Using an engine without a bus: emitting from scripts and workers, and creating the PostgreSQL schema in a migration.

To run a bus on an engine, use :meth:`ReactiveBus.from_url`.
"""

from ._engines.postgres.schema import DDL as POSTGRES_DDL
from ._engines.publisher import Publisher

__all__ = ["POSTGRES_DDL", "Publisher"]
