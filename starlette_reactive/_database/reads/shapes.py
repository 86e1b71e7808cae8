"""What a statement reads, with places for the values of one execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..._core.facts import Fact, Facts, condition, value_path
from ..._core.reads import Read
from .predicates import Parameter, Value

__all__ = ["ConditionShape", "FactShape", "StatementShape", "condition_shape"]

_MISSING: Final = object()
_MOST_VALUES: Final = 1000


class _NotKnownError(Exception):
    """A value cannot be named. The message is the end of a sentence that begins with the statement."""


@dataclass(frozen=True, slots=True)
class ConditionShape:
    """One condition of a fact.

    Args:
        column: The column's name.
        paths: The paths that do not depend on parameters.
        parameters: The parameters.
    """

    column: str
    paths: frozenset[str]
    parameters: tuple[Parameter, ...]

    def bind(self, values: Mapping[str, Any], expanded: Mapping[str, Sequence[str]]) -> frozenset[str]:
        """Return the condition for the values of one execution, and the names that lists of values have in it."""
        paths = set(self.paths)
        for parameter in self.parameters:
            names = expanded.get(parameter.name)
            if names is None:
                paths.add(self._path(parameter, values.get(parameter.name, _MISSING)))
            elif len(names) > _MOST_VALUES:
                raise _NotKnownError(f"compares {self.column} with more than {_MOST_VALUES} values")
            else:
                paths.update(self._path(parameter, values.get(name, _MISSING)) for name in names)
        return frozenset(paths)

    def _path(self, parameter: Parameter, value: object) -> str:
        if value is None:
            return value_path(self.column, None)
        text = None if value is _MISSING else parameter.kind.text(value)
        if text is None:
            kind = "is not known" if value is _MISSING else f"has the type {type(value).__name__}"
            raise _NotKnownError(f"compares {self.column} with a value that {kind}")
        return value_path(self.column, text)


@dataclass(frozen=True, slots=True)
class FactShape:
    """A fact whose values depend on the execution.

    Args:
        table: The table's name.
        conditions: Its conditions.
    """

    table: str
    conditions: tuple[ConditionShape, ...]


@dataclass(frozen=True, slots=True)
class StatementShape:
    """What each execution of a statement reads.

    Args:
        statement: Its text.
        facts: The facts that are the same in each execution.
        variable: The facts that depend on values.
        everything: Whether it may read anything.
        unknown: Why not all is known.
    """

    statement: str
    facts: frozenset[Fact]
    variable: tuple[FactShape, ...] = ()
    everything: bool = False
    unknown: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it reads nothing."""
        return not (self.facts or self.variable or self.everything)

    def read(self, values: Mapping[str, Any], expanded: Mapping[str, Sequence[str]]) -> Read:
        """Return what an execution reads."""
        unknown = self.unknown
        facts = set(self.facts)
        for shape in self.variable:
            conditions = []
            for each in shape.conditions:
                try:
                    conditions.append(each.bind(values, expanded))
                except _NotKnownError as error:
                    unknown = unknown or str(error)
            facts.add(Fact(shape.table, frozenset(conditions)))
        return Read(Facts(frozenset(facts), self.everything), self.statement, unknown)


def condition_shape(column: str, values: Sequence[Value], *, is_key: bool) -> ConditionShape:
    """Return a condition: the column has one of several values."""
    constants = [each for each in values if not isinstance(each, Parameter)]
    parameters = tuple(dict.fromkeys(each for each in values if isinstance(each, Parameter)))
    return ConditionShape(column, condition(column, constants, is_key=is_key), parameters)
