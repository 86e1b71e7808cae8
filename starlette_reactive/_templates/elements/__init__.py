"""The elements of a composed page."""

__all__: list[str] = []
