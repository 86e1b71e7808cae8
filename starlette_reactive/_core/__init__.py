"""Facts that need nothing else: paths, events, blocks, errors, and event loops."""

__all__: list[str] = []
