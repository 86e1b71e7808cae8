"""The lifespan state that an update sees, and an error that names ``state_names=`` where it sees too little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from .._core.errors import ReactiveError

__all__ = ["UpdateState", "raise_update_error"]


class UpdateState(dict[str, Any]):
    """The state of an update: what is named of that of the stream's request.

    Args:
        state: The state of the stream's request.
        names: What updates see of it.
    """

    def __init__(self, state: Mapping[str, Any], names: Iterable[str]) -> None:
        super().__init__({name: state[name] for name in names if name in state})
        self._hidden = state.keys() - self.keys()

    def copy(self) -> UpdateState:
        """Return a copy, for one update."""
        copied = UpdateState({}, ())
        copied.update(self)
        copied._hidden = self._hidden
        return copied

    def __missing__(self, name: str) -> Any:
        raise _HiddenError(name) if name in self._hidden else KeyError(name)


class _HiddenError(KeyError):
    """An update reads what only the request of its stream has."""


def raise_update_error(error: Exception, page: str) -> NoReturn:
    """Raise what an update has raised. If it could not read the state of its stream's request, name that as the cause.

    Args:
        error: What it has raised.
        page: The key of its page.

    Raises:
        ReactiveError: The state lacks what the update needs.
    """
    hidden = next((each for each in _chain(error) if isinstance(each, _HiddenError)), None)
    if hidden is None:
        raise error
    (name,) = hidden.args
    raise ReactiveError(
        f"request.state.{name} is missing when the page {page} is updated, which updates do not see: if the lifespan "
        f"sets it, write Reactive(state_names=[{name!r}]); if middleware sets it for some requests only, read it with "
        f"getattr(request.state, {name!r}, None)"
    ) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # Starlette's State raises an AttributeError while it handles the KeyError. Others handle it, and go on.
        error = error.__cause__ or (error.__context__ if isinstance(error, AttributeError) else None)
