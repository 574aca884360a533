"""The same operator with other arguments: each module of constructors makes its operators known here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .ops import Op
from .term import Term

Constructor = Callable[[tuple[Term, ...], Any], Term]

_CONSTRUCTORS: dict[Op, Constructor] = {}


def register(constructors: Mapping[Op, Constructor]) -> None:
    """Make the constructors of operators known, as functions of the arguments and of what the operator carries."""
    _CONSTRUCTORS.update(constructors)


def with_args(term: Term, args: tuple[Term, ...]) -> Term:
    """The same operator applied to other arguments."""
    return with_attr(term, args, term.attr)


def with_attr(term: Term, args: tuple[Term, ...], attr: Any) -> Term:
    """The same operator with other arguments and other data."""
    return _CONSTRUCTORS[term.op](args, attr)
