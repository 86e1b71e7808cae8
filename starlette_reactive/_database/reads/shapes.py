"""What a statement reads, with places for the values of one execution."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from ..._core.facts import Fact, Facts, condition, value_path
from ..._core.reads import Read
from ..values import Kind
from .predicates import Parameter, Value

__all__ = ["ConditionShape", "FactShape", "StatementShape", "condition_shape"]

_MISSING: Final = object()
_MOST_VALUES: Final = 1000
"""More values in one list are not named: the column may have any value."""

_MOST_READS: Final = 16
"""How many executions of a statement are remembered, by their values."""


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
    _null: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_null", value_path(self.column, None))

    def bind(self, values: Mapping[str, Any], expanded: Mapping[str, Sequence[str]]) -> frozenset[str]:
        """Return the condition for the values of one execution, and the names that lists of values have in it."""
        if not self.parameters:
            return self.paths
        paths = [*self.paths]
        for parameter in self.parameters:
            names = expanded.get(parameter.name)
            if names is None:
                names = (parameter.name,)
            elif len(names) > _MOST_VALUES:
                raise _NotKnownError(f"compares {self.column} with more than {_MOST_VALUES} values")
            found = [values.get(name, _MISSING) for name in names]
            null, kind = self._null, parameter.kind
            path_of = self._label_path if kind.labels else self._plain_path
            if kind.name == "integer":  # most are, and lists may be long
                paths += [f"{null}{each}" if type(each) is int else path_of(kind, each) for each in found]
            else:
                paths += [path_of(kind, each) for each in found]
        return frozenset(paths)

    def _plain_path(self, kind: Kind, value: object) -> str:
        if value is None:
            return self._null
        return self._null + (kind.text(value) or self._refuse(value))  # nothing in the text needs to be escaped

    def _label_path(self, kind: Kind, value: object) -> str:
        return value_path(self.column, None if value is None else kind.text(value) or self._refuse(value))

    def _refuse(self, value: object) -> NoReturn:
        what = "a value that is not known" if value is _MISSING else f"a value of the type {type(value).__name__}"
        raise _NotKnownError(f"compares {self.column} with {what}")


@dataclass(frozen=True, slots=True)
class FactShape:
    """A fact whose values depend on the execution.

    Args:
        table: The table's name.
        conditions: Its conditions.
    """

    table: str
    conditions: tuple[ConditionShape, ...]


class StatementShape:
    """What each execution of a statement reads.

    Args:
        statement: Its text.
        facts: The facts that are the same in each execution.
        variable: The facts that depend on values.
        unknown: Why it may read anything. ``None`` if it reads what the facts say.
    """

    def __init__(
        self,
        statement: str,
        facts: Collection[Fact] = (),
        variable: Collection[FactShape] = (),
        unknown: str | None = None,
    ) -> None:
        self._variable = tuple(variable)
        self._same = Read(Facts(frozenset(facts), everything=unknown is not None), statement, unknown)
        parameters = {each.name for fact in variable for one in fact.conditions for each in one.parameters}
        self._names = tuple(sorted(parameters))
        self._known: dict[object, Read] = {}

    @property
    def is_empty(self) -> bool:
        """Whether it reads nothing."""
        return not (self._same.facts or self._variable)

    def read(self, values: Mapping[str, Any], expanded: Mapping[str, Sequence[str]]) -> Read:
        """Return what an execution reads.

        Args:
            values: The values of the execution, by the names of parameters.
            expanded: The names of the values of each list.
        """
        if not self._variable:
            return self._same
        if not expanded.keys().isdisjoint(self._names):
            return self._read(values, expanded)
        bound = [values.get(name, _MISSING) for name in self._names]
        # Values that are equal may be written differently, such as a string and a member of an enumeration.
        key = (*bound, *map(type, bound))
        try:
            read = self._known.get(key)
        except TypeError:  # a value that cannot be hashed
            return self._read(values, expanded)
        if read is None:
            if len(self._known) >= _MOST_READS:
                self._known.clear()
            read = self._known[key] = self._read(values, expanded)
        return read

    def _read(self, values: Mapping[str, Any], expanded: Mapping[str, Sequence[str]]) -> Read:
        unknown = None
        facts = set(self._same.facts.facts)
        for shape in self._variable:
            conditions = []
            for each in shape.conditions:
                try:
                    conditions.append(each.bind(values, expanded))
                except _NotKnownError as error:
                    unknown = unknown or str(error)
            facts.add(Fact(shape.table, frozenset(conditions)))
        return Read(Facts(frozenset(facts)), self._same.statement, unknown)


def condition_shape(column: str, values: Sequence[Value], *, is_key: bool) -> ConditionShape:
    """Return a condition: the column has one of several values."""
    constants = [each for each in values if not isinstance(each, Parameter)]
    parameters = tuple(dict.fromkeys(each for each in values if isinstance(each, Parameter)))
    return ConditionShape(column, condition(column, constants, is_key=is_key), parameters)
