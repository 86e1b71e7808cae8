"""Live pages: one endpoint is the page and its updates."""

__all__: list[str] = []
