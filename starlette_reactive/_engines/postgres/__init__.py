"""PostgreSQL as an engine. Needs the extra ``postgres``.

``engine`` opens a ``session`` for a relay; ``sender`` emits without an event loop. ``schema`` holds the tables and SQL
functions, ``queries`` the SQL that the bus runs, and ``codec`` translates rows and parameters.
"""

__all__: list[str] = []
