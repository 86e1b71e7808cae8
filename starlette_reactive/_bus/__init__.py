"""Notifies the subscriptions of this process of changes."""

__all__: list[str] = []
