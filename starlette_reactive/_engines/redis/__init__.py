"""Redis as an engine."""

__all__: list[str] = []
