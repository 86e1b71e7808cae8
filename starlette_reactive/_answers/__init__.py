"""The values that endpoints return, and the responses for them."""

__all__: list[str] = []
