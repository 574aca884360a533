"""Derivations as text, as LaTeX and as data: one formula a line, the rule beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..rewriting.steps import EQUAL, IDENTIFY, INDUCTION, LEMMA, Step
from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import postorder
from .chains import free_names
from .latex import latex_words, to_latex
from .naming import told_together, with_names
from .text import to_text, to_unicode

if TYPE_CHECKING:
    from ..solving.equation import Condition, Equation, SolveStep
    from ..solving.proofs import ProofStep
    from .layout import IndexNames

WIDTH = 88
"""The column of the rules is at most this far to the right; a longer formula pushes its own rule on."""

_SIGNS = {"nonzero": ("≠ 0", r"\ne 0"), "positive": ("> 0", "> 0"), "nonneg": ("≥ 0", r"\ge 0")}
_WORDS = {
    "posdef": "positive definite",
    "psd": "positive semidefinite",
    "posdet": "of positive determinant",
    "fullrank": "of full column rank",
    "fullrow": "of full row rank",
    "fixedrank": "of constant rank",
    "maxrank": "of full rank",
    "principal": "free of eigenvalues on the closed negative real axis",
    "simple": "of simple largest eigenvalue",
    "distinct": "of distinct eigenvalues",
}
_PLAIN = (ops.NUM, ops.CONST)
_UNSEEN = frozenset({"d-part"})
"""Rules whose two sides are written alike: the differential of one of coupled states."""


# ---------------------------------------------------------------- conditions


def _without_sign(term: Term, fact: str) -> Term:
    """``-2*n`` is nonzero where n is."""
    number, rest = build.coefficient(term)
    return rest if fact == "nonzero" and number != 0 and rest.op is not ops.NUM else term


def _in_words(term: Term, fact: str) -> str:
    """A fact as it is said; a variable keeps its rank nearby only where that is full."""
    return _WORDS.get("maxrank" if fact == "fixedrank" and term.op in (ops.SYM, ops.MEMBER) else fact, fact)


def fact_words(term: Term, fact: str) -> str:
    """How a fact is said after its term: ``> 0``, ``is positive definite``."""
    if fact in _SIGNS:
        return _SIGNS[fact][0] + ("" if term.is_scalar else " entry by entry")
    return f"is {_in_words(term, fact)}"


def text_condition(term: Term, fact: str, names: IndexNames | None = None, told: bool = True) -> str:
    """``n ≠ 0``, ``Σ is positive definite``; unless ``told``, without the recurrences in it."""
    if term.is_scalar and fact in _SIGNS:
        return _about(to_unicode(_without_sign(term, fact), names), f" {_SIGNS[fact][0]}", TEXT_WHERE, told)
    return _about(to_unicode(term, names), f" is {_in_words(term, fact)}", TEXT_WHERE, told)


def latex_condition(term: Term, fact: str, names: IndexNames | None = None, told: bool = True) -> str:
    """The same as LaTeX."""
    if term.is_scalar and fact in _SIGNS:
        return _about(to_latex(_without_sign(term, fact), names), f" {_SIGNS[fact][1]}", LATEX_WHERE, told)
    return _about(to_latex(term, names), latex_words(f" is {_in_words(term, fact)}"), LATEX_WHERE, told)


def _about(formula: str, said: str, marks: tuple[str, str], told: bool) -> str:
    """What is said about a formula, the definitions in it behind."""
    body, _, definitions = _split(formula, marks[0])
    return f"{body}{said} ({definitions})" if definitions and told else f"{body}{said}"


def _open(conditions: Iterable[tuple[Term, str]]) -> list[tuple[Term, str]]:
    """The conditions that say something about variables; that 2 > 0 goes without saying."""
    return [c for c in conditions if any(not leaf.args and leaf.op not in _PLAIN for leaf in postorder(c[0]))]


def needed(conditions: Iterable[Condition], names: IndexNames | None = None) -> list[str]:
    """What a solution needs that does not follow from what was declared, each once."""
    return list(dict.fromkeys(_reason(c, names) for c in conditions if not c.known))


# ---------------------------------------------------------------- text


def _columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Formulas on the left, rules in a column to the right."""
    column = max((len(formula) for formula, rule in rows if rule and len(formula) <= WIDTH), default=0)
    return [f"{formula:<{column}}   {rule}" if rule else formula for formula, rule in rows]


def _beside(rule: str, conditions: Sequence[str]) -> str:
    return f"[{rule}" + (f", where {', '.join(conditions)}" if conditions else "") + "]"


def text_steps(steps: Sequence[Step], names: IndexNames | None = None) -> list[str]:
    """The first formula, then one line a step: the formula, the rule, the conditions."""
    names = _telling_apart(steps, names)
    shown, parts = _named(steps)
    terms = list(shown)
    texts, told = _told_once([to_unicode(shown[t], names) for t in terms], TEXT_WHERE)
    text = dict(zip(terms, texts, strict=True))
    rows: list[tuple[str, str]] = []
    last: Term | None = None
    for step in steps:
        if step.before is not last:
            rows.append((f"  {text[step.before]}", ""))
        last = step.after
        if step.rule in _UNSEEN:
            continue
        sign = "⇒" if _leads_on(step) else "="
        where = [text_condition(term, fact, names, told=False) for term, fact in _open(step.conditions)]
        rows.append((f"{sign} {text[step.after]}", _beside(step.rule, where)))
    rows += [(f"  where {to_unicode(name, names)} = {to_unicode(part, names)}", "") for name, part in parts]
    rows += [(f"  where {definition}", "") for definition in told]
    return _columns(rows)


def _telling_apart(steps: Sequence[Step], names: IndexNames | None) -> IndexNames | None:
    """Names under which the recurrences that an induction leads from are not those that it leads to."""
    found = list(names or ())
    for step in steps:
        if step.rule != INDUCTION:
            continue
        kept = {(t.args, t.attr.slot) for t in postorder(step.after) if t.op is ops.STATE}
        taken = free_names(step.before) | free_names(step.after) | {name for _, _, name in found}
        for state in postorder(step.before):
            if state.op is ops.STATE and (state.args, state.attr.slot) not in kept:
                name = next(letter for letter in (*"zgpqrsuvw", "zz") if letter not in taken)
                taken.add(name)
                found.append((*state.args, name))
    return found


TEXT_WHERE, LATEX_WHERE = (" where ", "; "), (r" \quad\text{where } ", r",\; ")
"""What stands before the first definition of a recurrence, and between two of them."""


def _told_once(formulas: Sequence[str], marks: tuple[str, str]) -> tuple[list[str], list[str]]:
    """Lines without the recurrences that all of them tell alike, and what those are.

    A line that means something else by a name keeps its own definitions.
    """
    told: dict[str, str] = {}
    short: list[str] = []
    for formula in formulas:
        body, mark, definitions = _split(formula, marks[0])
        listed = [d.partition(" = ")[::2] for d in _parts(definitions, marks[1])] if mark else []
        if any(told.get(left, right) != right for left, right in listed):
            short.append(formula)
            continue
        told.update(listed)
        short.append(body)
    return short, [f"{left} = {right}" for left, right in told.items()]


def _split(formula: str, mark: str) -> tuple[str, str, str]:
    """At the first mark outside all brackets."""
    pieces = formula.split(mark)
    body = ""
    for i, piece in enumerate(pieces[:-1]):
        body = body + (mark if i else "") + piece
        if _depth(body) == 0:
            return body, mark, mark.join(pieces[i + 1 :])
    return formula, "", ""


def _parts(text: str, mark: str) -> list[str]:
    found: list[str] = []
    for piece in text.split(mark):
        if found and _depth(found[-1]):
            found[-1] += mark + piece
        else:
            found.append(piece)
    return found


def _depth(text: str) -> int:
    return sum(text.count(c) for c in "([{") - sum(text.count(c) for c in ")]}")


def _named(steps: Sequence[Step]) -> tuple[dict[Term, Term], list[tuple[Term, Term]]]:
    """Each line as it is shown: a large part that is used more than once appears once, by a name."""
    terms = list(dict.fromkeys(t for step in steps for t in (step.before, step.after)))
    named = with_names(terms)
    return dict(zip(terms, named.terms, strict=True)), named.parts


def _leads_on(step: Step) -> bool:
    """The next line is not equal to the one before but follows from it."""
    return step.kind not in (EQUAL, LEMMA) or step.after is build.vec(step.before) is not step.before


def _sides(equation: Equation) -> tuple[Term, Term]:
    """Both sides; a zero of any shape is written 0."""
    left, right = (build.ZERO_NUM if side.op is ops.ZEROS else side for side in (equation.left, equation.right))
    return left, right


def _reason(condition: Condition, names: IndexNames | None) -> str:
    shown = text_condition(condition.term, condition.fact, names)
    itself = f"since {to_text(condition.term)} is {condition.fact}"
    return shown if condition.reason in ("", "assumed", itself) else f"{shown} ({condition.reason})"


def text_equation(equation: Equation, names: IndexNames | None = None) -> str:
    """``left = right`` on one line."""
    left, right = _sides(equation)
    return f"{to_unicode(left, names)} = {to_unicode(right, names)}"


def text_equations(steps: Sequence[SolveStep], names: IndexNames | None = None) -> list[str]:
    """The first equation, then one line a step: the equation, the strategy, the conditions with reasons."""
    return _columns(_solution_rows(steps, names))


def _solution_rows(
    steps: Sequence[SolveStep], names: IndexNames | None, last: Equation | None = None
) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for step in steps:
        if step.before != last:
            rows.append((f"  {text_equation(step.before, names)}", ""))
        where = [_reason(c, names) for c in step.conditions]
        rows.append((f"⇔ {text_equation(step.after, names)}", _beside(step.rule, where)))
        last = step.after
    return rows


def text_extremum(
    objective: Term,
    starts: Sequence[tuple[Equation, str]],
    steps: Sequence[SolveStep],
    proof: Sequence[ProofStep],
    names: IndexNames | None = None,
) -> list[str]:
    """The objective f, the equations of its stationary points, their solution, and the proof of the kind."""
    rows = [(f"  f = {to_unicode(objective, names)}", "")]
    rows += [(f"⇒ {text_equation(equation, names)}", f"[{label}]") for equation, label in starts]
    last = starts[0][0] if len(starts) == 1 else None
    return [*_columns([*rows, *_solution_rows(steps, names, last)]), *text_proof(proof, names)]


# ---------------------------------------------------------------- LaTeX


def text_proof(steps: Sequence[ProofStep], names: IndexNames | None = None) -> list[str]:
    """A proof as lines, each with the rule that gives it."""
    return _columns([(step.text(names), f"[{step.rule}]") for step in steps])


def _note(rule: str, conditions: Sequence[str]) -> str:
    note = f" && {latex_words(rule)}"
    return note + r"\;(" + r",\; ".join(conditions) + ")" if conditions else note


def _aligned(rows: list[str]) -> str:
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def latex_steps(steps: Sequence[Step], wrt: Term | None = None, names: IndexNames | None = None) -> str:
    """The derivation as an ``aligned`` block, the rule's name beside each line."""
    names = _telling_apart(steps, names)
    shown, parts = _named(steps)
    terms = list(shown)
    names = told_together(terms, names)
    texts, told = _told_once([to_latex(shown[t], names) for t in terms], LATEX_WHERE)
    text = dict(zip(terms, texts, strict=True))
    rows: list[str] = []
    last: Term | None = None
    for step in steps:
        if step.before is not last:
            rows.append(f"& {text[step.before]}")
        last = step.after
        if step.rule in _UNSEEN:
            continue
        sign = r"\Rightarrow\;" if _leads_on(step) else "="
        left = ""
        if step.kind == IDENTIFY and wrt is not None and step.before.has_diff:
            left = rf"\frac{{\partial\,(\cdot)}}{{\partial {to_latex(wrt, names)}}} = "
        note = _note(step.rule, [latex_condition(t, fact, names, told=False) for t, fact in _open(step.conditions)])
        rows.append(f"&{sign} {left}{text[step.after]}{note}")
    rows += [rf"& \text{{where }} {to_latex(name, names)} = {to_latex(part, names)}" for name, part in parts]
    rows += [rf"& \text{{where }} {definition}" for definition in told]
    return _aligned(rows)


def latex_equation(equation: Equation, names: IndexNames | None = None) -> str:
    """``left = right``."""
    left, right = _sides(equation)
    return f"{to_latex(left, names)} = {to_latex(right, names)}"


def latex_equations(steps: Sequence[SolveStep], names: IndexNames | None = None) -> str:
    """The solution as an ``aligned`` block of equations."""
    return _aligned(_solution_latex(steps, names))


def latex_extremum(
    objective: Term,
    starts: Sequence[tuple[Equation, str]],
    steps: Sequence[SolveStep],
    proof: Sequence[ProofStep],
    names: IndexNames | None = None,
) -> str:
    """The objective f, the equations of its stationary points, their solution and the proof of the kind."""
    rows = [f"& f = {to_latex(objective, names)}"]
    rows += [rf"\Rightarrow\;& {latex_equation(e, names)} && {latex_words(label)}" for e, label in starts]
    last = starts[0][0] if len(starts) == 1 else None
    rows += _solution_latex(steps, names, last)
    rows += [rf"& {line.latex(names)} && {latex_words(line.rule)}" for line in proof]
    return _aligned(rows)


def _solution_latex(steps: Sequence[SolveStep], names: IndexNames | None, last: Equation | None = None) -> list[str]:
    rows: list[str] = []
    for step in steps:
        if step.before != last:
            rows.append(f"& {latex_equation(step.before, names)}")
        note = _note(step.rule, [latex_condition(c.term, c.fact, names) for c in step.conditions])
        rows.append(rf"\Leftrightarrow\;& {latex_equation(step.after, names)}{note}")
        last = step.after
    return rows


# ---------------------------------------------------------------- data


def data_condition(term: Term, fact: str, names: IndexNames | None = None) -> dict[str, Any]:
    """A condition as plain data."""
    return {
        "term": to_text(term, names),
        "fact": fact,
        "text": text_condition(term, fact, names),
        "latex": latex_condition(term, fact, names),
    }


def data_known_condition(condition: Condition, names: IndexNames | None = None) -> dict[str, Any]:
    """A condition of a solution as plain data, with what is known about it."""
    found = data_condition(condition.term, condition.fact, names)
    return {**found, "known": condition.known, "reason": condition.reason}


def data_steps(steps: Sequence[Step], names: IndexNames | None = None) -> list[dict[str, Any]]:
    """The steps as plain data: the rule, the formula that it gave, the one before, the conditions."""
    return [
        {
            "rule": step.rule,
            "text": to_text(step.after, names),
            "latex": to_latex(step.after, names),
            "before": to_text(step.before, names),
            "conditions": [data_condition(t, fact, names) for t, fact in step.conditions],
        }
        for step in steps
    ]


def data_equations(steps: Sequence[SolveStep], names: IndexNames | None = None) -> list[dict[str, Any]]:
    """The steps of a solution as plain data."""
    return [
        {
            "rule": step.rule,
            "text": _plain(step.after, names),
            "latex": latex_equation(step.after, names),
            "before": _plain(step.before, names),
            "conditions": [data_known_condition(c, names) for c in step.conditions],
        }
        for step in steps
    ]


def data_proof(steps: Sequence[ProofStep], names: IndexNames | None = None) -> list[dict[str, Any]]:
    """A proof as plain data."""
    return [{"rule": step.rule, "text": step.text(names), "latex": step.latex(names)} for step in steps]


def _plain(equation: Equation, names: IndexNames | None) -> str:
    left, right = _sides(equation)
    return f"{to_text(left, names)} = {to_text(right, names)}"
