"""Who is notified of a change in this process."""

__all__: list[str] = []
