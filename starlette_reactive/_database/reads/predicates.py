"""What a condition in a statement says about the values of single columns.

A condition becomes terms. Each of them holds for every combination of rows for which the condition is true. What is
not understood becomes no term.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import AsBoolean, BooleanClauseList, ClauseList, ColumnClause, Grouping
from sqlalchemy.sql.expression import BinaryExpression, BindParameter, False_, Null, True_

from ..values import Kind, kind_of_type

__all__ = ["Among", "Equal", "Parameter", "Place", "Term", "Value", "place_of", "terms"]

Names: TypeAlias = Mapping[BindParameter[Any], str]


@dataclass(frozen=True, slots=True)
class Place:
    """A column of an element of a FROM clause.

    Args:
        source: The element. Copies that SQLAlchemy annotates are equal to it.
        column: The column's name.
        kind: What its values are.
    """

    source: Any
    column: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is known when the statement is executed.

    Args:
        name: The parameter's name in the compiled statement.
        kind: What its values are.
    """

    name: str
    kind: Kind


Value: TypeAlias = Parameter | str | None
"""A parameter, or the text of a value, or ``None`` for NULL."""


@dataclass(frozen=True, slots=True)
class Among:
    """A column has one of several values.

    Args:
        place: The column.
        values: The values.
        or_null: Whether it may be NULL instead.
    """

    place: Place
    values: tuple[Value, ...]
    or_null: bool = False


@dataclass(frozen=True, slots=True)
class Equal:
    """Two columns have equal values."""

    one: Place
    other: Place


Term: TypeAlias = Among | Equal


def terms(condition: Any, names: Names) -> Iterator[Term]:
    """Yield what holds if a condition is true.

    Args:
        condition: An expression.
        names: The names of the statement's parameters.
    """
    if isinstance(condition, Grouping):
        yield from terms(condition.element, names)
    elif isinstance(condition, BooleanClauseList):
        yield from _terms_of_list(condition.operator, list(condition.clauses), names)
    elif isinstance(condition, AsBoolean):
        yield from _terms_of_flag(condition)
    elif isinstance(condition, BinaryExpression):
        yield from _terms_of_comparison(condition, names)


def _terms_of_list(operator: Any, conditions: Sequence[Any], names: Names) -> Iterator[Term]:
    each_terms = [list(terms(each, names)) for each in conditions]
    if operator is operators.and_:
        yield from (term for found in each_terms for term in found)
    elif operator is operators.or_ and each_terms:
        yield from _united(each_terms)


def _united(alternatives: Sequence[Sequence[Term]]) -> Iterator[Term]:
    """Yield what holds if all terms of one of several alternatives hold."""
    among = [{term.place: term.values for term in found if isinstance(term, Among)} for found in alternatives]
    for place in reduce(lambda one, other: one & other, (set(each) for each in among)):
        yield Among(place, tuple(dict.fromkeys(value for each in among for value in each[place])))


def _terms_of_flag(condition: AsBoolean) -> Iterator[Term]:
    place = place_of(condition.element)
    if place is not None and place.kind.name == "boolean":
        if condition.operator is operators.is_true:
            yield Among(place, ("true",))
        elif condition.operator is operators.is_false:
            yield Among(place, ("false",))


def _terms_of_comparison(condition: BinaryExpression[Any], names: Names) -> Iterator[Term]:
    if condition.operator is operators.is_:
        if isinstance(condition.right, (Null, True_, False_)) and (place := place_of(condition.left)) is not None:
            yield from _among(place, [condition.right], names)
    elif condition.operator is operators.eq:
        one, other = place_of(condition.left), place_of(condition.right)
        if one is not None and other is not None:
            if one.kind == other.kind:
                yield Equal(one, other)
        elif one is not None:
            yield from _among(one, [condition.right], names)
        elif other is not None:
            yield from _among(other, [condition.left], names)
    elif condition.operator is operators.in_op:
        place = place_of(condition.left)
        if place is not None:
            yield from _among(place, _elements(condition.right), names)


def _elements(values: Any) -> list[Any]:
    while isinstance(values, Grouping):
        values = values.element
    return list(values.clauses) if isinstance(values, ClauseList) else [values]


def _among(place: Place, values: Sequence[Any], names: Names) -> Iterator[Among]:
    found: list[Value] = []
    for each in values:
        if isinstance(each, Null):
            found.append(None)
        elif isinstance(each, (True_, False_)) and place.kind.name == "boolean":
            found.append("true" if isinstance(each, True_) else "false")
        elif isinstance(each, BindParameter) and each in names and (kind := kind_of_type(each.type)) == place.kind:
            found.append(Parameter(names[each], kind))  # its own kind: two enumerations may have the same labels
        else:
            return
    yield Among(place, tuple(found))


def place_of(expression: Any) -> Place | None:
    """Return the column that an expression is. ``None`` if it is something else, or facts do not name its values."""
    while isinstance(expression, Grouping):
        expression = expression.element
    if not isinstance(expression, ColumnClause) or expression.is_literal or expression.table is None:
        return None
    kind = kind_of_type(expression.type)
    return Place(expression.table, expression.name, kind) if kind is not None else None
