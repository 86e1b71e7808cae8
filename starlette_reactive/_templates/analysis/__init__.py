"""The abstract interpretation that finds what a template reads."""

__all__: list[str] = []
