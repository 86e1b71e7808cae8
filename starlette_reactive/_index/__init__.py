"""From changed paths to blocks, and from elements to the blocks they show."""

__all__: list[str] = []
