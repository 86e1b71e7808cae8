"""What a run reads from a database, and what a commit writes to it."""

__all__: list[str] = []
