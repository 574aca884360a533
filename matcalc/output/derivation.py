"""Derivations as text and as LaTeX, as a person would write them: one formula a line, the rule beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..rewriting.steps import IDENTIFY, Step
from ..terms.term import Term
from .latex import to_latex
from .text import to_unicode

if TYPE_CHECKING:
    from ..solving.equation import SolveStep
    from .layout import IndexNames


def _conditions(conditions: Sequence[tuple[Term, str]], names: IndexNames | None) -> str:
    return ", ".join(f"{to_unicode(term, names)} is {fact}" for term, fact in conditions)


def text_steps(steps: Sequence[Step], names: IndexNames | None = None) -> list[str]:
    """The first formula, then one line a step: the formula, the rule, the conditions."""
    lines: list[str] = []
    last: Term | None = None
    for step in steps:
        if step.before is not last:
            lines.append(f"  {to_unicode(step.before, names)}")
        sign = "⇒" if step.kind == IDENTIFY else "="
        where = f", where {_conditions(step.conditions, names)}" if step.conditions else ""
        lines.append(f"{sign} {to_unicode(step.after, names)}    [{step.rule}{where}]")
        last = step.after
    return lines


def text_equations(steps: Sequence[SolveStep], names: IndexNames | None = None) -> list[str]:
    """The first equation, then one line a step: the equation, the strategy, the conditions with reasons."""
    lines: list[str] = []
    last: object = None
    for step in steps:
        if step.before != last:
            lines.append(f"  {to_unicode(step.before.left, names)} = {to_unicode(step.before.right, names)}")
        where = "".join(
            f", where {to_unicode(c.term, names)} is {c.fact}" + (f" ({c.reason})" if c.reason else "")
            for c in step.conditions
        )
        lines.append(f"⇔ {to_unicode(step.after.left, names)} = {to_unicode(step.after.right, names)}    [{step.rule}{where}]")
        last = step.after
    return lines


def _words(rule: str) -> str:
    return rule.replace("_", r"\_").replace("^", r"\^{}").replace("'", r"'")


def _aligned(rows: list[str]) -> str:
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def latex_steps(steps: Sequence[Step], wrt: Term | None = None, names: IndexNames | None = None) -> str:
    """The derivation as an ``aligned`` block, the rule's name beside each line."""
    rows: list[str] = []
    last: Term | None = None
    for step in steps:
        if step.before is not last:
            rows.append(f"& {to_latex(step.before, names)}")
        sign = r"\Rightarrow\;" if step.kind == IDENTIFY else "="
        left = ""
        if step.kind == IDENTIFY and wrt is not None:
            left = rf"\frac{{\partial}}{{\partial {to_latex(wrt, names)}}} = "
        note = rf" && \text{{{_words(step.rule)}}}"
        if step.conditions:
            facts = r",\; ".join(rf"{to_latex(t, names)}\text{{ is {fact}}}" for t, fact in step.conditions)
            note += rf"\;({facts})"
        rows.append(f"&{sign} {left}{to_latex(step.after, names)}{note}")
        last = step.after
    return _aligned(rows)


def latex_equations(steps: Sequence[SolveStep], names: IndexNames | None = None) -> str:
    """The solution as an ``aligned`` block of equations."""
    rows: list[str] = []
    last: object = None
    for step in steps:
        if step.before != last:
            rows.append(f"& {to_latex(step.before.left, names)} = {to_latex(step.before.right, names)}")
        note = rf" && \text{{{_words(step.rule)}}}"
        if step.conditions:
            facts = r",\; ".join(rf"{to_latex(c.term, names)}\text{{ is {c.fact}}}" for c in step.conditions)
            note += rf"\;({facts})"
        rows.append(rf"\Leftrightarrow\;& {to_latex(step.after.left, names)} = {to_latex(step.after.right, names)}{note}")
        last = step.after
    return _aligned(rows)
