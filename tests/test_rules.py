"""Every row of every rule file is true, needs its guards, can fire, and ends; and what the loader refuses.

The rows are enumerated, so that a new row is tested by being there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matcalc.errors import MatcalcError
from matcalc.resources import data_dir
from matcalc.rewriting.lines import verify_on_lines
from matcalc.rewriting.loader import LINEAR, RULE_FILES, LinearRow, load, load_text
from matcalc.rewriting.rule import FACTS, Fact, Rule
from matcalc.rewriting.verify import (
    context,
    endless,
    holds_numerically,
    row_name,
    rows_of,
    shadowed,
    show_guard,
    superfluous_guards,
    verify_implication,
    verify_rule,
)

ROWS = [(name, row) for name in RULE_FILES if name != "convexity" for row in rows_of(load(name))]
CURVATURES = load("convexity").file.facts
RULES = [(name, row) for name, row in ROWS if isinstance(row, Rule)]


def each(rows):
    return pytest.mark.parametrize(("file", "row"), rows, ids=[f"{name}:{row_name(row)}" for name, row in rows])


# ---------------------------------------------------------------- every row


@each(ROWS)
def test_holds(file, row, pytestconfig):
    """On a dozen instances; ``pytest --fuzz N`` draws N times as many."""
    for seed in range(int(pytestconfig.getoption("--fuzz"))):
        verdict = verify_rule(row, seed, wanted=12)
        assert verdict.ok, f"seed {seed}: {verdict.message}"
        assert verdict.trials >= 6, f"seed {seed}: only {verdict.trials} inputs were found"


@each([(name, row) for name, row in ROWS if not isinstance(row, LinearRow) and row.guards])
def test_needs_its_guards(file, row):
    assert [show_guard(g) for g in superfluous_guards(row)] == []


@pytest.mark.parametrize("row", CURVATURES, ids=lambda row: row.name)
def test_holds_on_lines(row):
    verdict = verify_on_lines(row)
    assert verdict.ok, verdict.message


@pytest.mark.parametrize("row", CURVATURES, ids=lambda row: row.name)
def test_needs_its_guards_on_lines(row):
    for guard in row.guards:
        others = [g for g in row.guards if g is not guard]
        assert not verify_on_lines(row, guards=others).ok, show_guard(guard)


@each([(name, row) for name, row in ROWS if not isinstance(row, Fact)])
def test_can_fire(file, row):
    among = load(file).linear if file in LINEAR else context(file)
    first = shadowed(row, among)
    assert first is None, f"[{first}] always comes first"


@each([(name, row) for name, row in RULES if name not in LINEAR])
def test_ends(file, row):
    assert endless(row, context(file)) is None


@each(RULES)
def test_sides_have_one_shape(file, row):
    assert row.left.shape == row.right.shape


@pytest.mark.parametrize("implication", load("facts").file.implications, ids=" is ".join)
def test_implication(implication):
    verdict = verify_implication(implication)
    assert verdict.ok, verdict.message


def test_no_implication_is_said_twice():
    pairs = load("facts").file.implications
    assert len(set(pairs)) == len(pairs)


def test_every_file_is_tested():
    assert {path.stem for path in data_dir("rules").glob("*.rules")} == set(RULE_FILES)


def test_names_are_unique_over_all_files():
    names = [row_name(row) for _, row in ROWS] + [row.name for row in CURVATURES]
    assert sorted(n for n in set(names) if names.count(n) > 1) == []


HAVING = {
    "symmetric": [[1, 2], [2, 1]],
    "skew": [[0, 1], [-1, 0]],
    "psd": [[1, 1], [1, 1]],
    "posdef": [[2, 1], [1, 2]],
    "invertible": [[1, 2], [0, 1]],
    "orthogonal": [[0, 1], [-1, 0]],
    "stiefel": [[1], [0]],
    "diagonal": [[1, 0], [0, 2]],
    "lower": [[1, 0], [2, 1]],
    "upper": [[1, 2], [0, 1]],
    "fullrank": [[1], [2]],
    "fullrow": [[1, 2]],
    "positive": [[1, 2]],
    "nonneg": [[0, 2]],
    "nonzero": [[-1, 2]],
    "integer": [[-1, 2]],
    "posdet": [[1, 5], [0, 2]],
    "square": [[1, 2], [3, 4]],
    "principal": [[1, 2], [0, 3]],
    "simple": [[2, 1, 1], [1, 2, 1], [1, 1, 2]],
    "distinct": [[1, 0], [0, 2]],
    "fixedrank": [[1, 2, 3]],
    "maxrank": [[1, 2, 3]],
}
LACKING = {
    "square": [[1, 2]],
    "positive": [[1, 0]],
    "integer": [[0.5, 1]],
    "simple": [[1, 0], [0, 1]],
    "fixedrank": [[1, 0], [0, 1e-6]],
    "distinct": [[2, 1, 1], [1, 2, 1], [1, 1, 2]],
}


@pytest.mark.parametrize("fact", sorted(FACTS))
def test_meaning_of_a_fact(fact):
    lacking = LACKING.get(fact, [[1, -2, 3], [1, -2, 3], [0, 0, -1]])
    assert holds_numerically(fact, np.array(HAVING[fact], float))
    assert not holds_numerically(fact, np.array(lacking, float))


def test_a_row_knows_its_place():
    rule = next(r for r in load("differential").file.rules if r.name == "d-product")
    text = (data_dir("rules") / "differential.rules").read_text(encoding="utf-8")
    assert text.split("\n")[rule.line - 1] == rule.text
    assert rule.source == "MC 37"


def test_the_checks_can_fail():
    """A row with its sides exchanged for others is found out: the tests above are not vacuous."""
    rules = {r.name: r for r in load("simplify").file.rules}
    wrong = replace(rules["det-inverse"], right=rules["det-transpose"].right)
    assert not verify_rule(wrong).ok


# ---------------------------------------------------------------- what the loader refuses

LET = "ruleset simplify\nlet A, B: matrix\nlet s: scalar\nlet e[i]: scalar\n"

REFUSED = {
    "name twice": (
        "[one] (A + B)' -> A' + B'\n[one] (A*B)' -> B'*A'",
        "line 6, column 1: two rows are called 'one'\n  [one] (A*B)' -> B'*A'\n  ^^^^^^^^^^^^^^^^^^^^^",
    ),
    "unknown function": (
        "[one] tr(foo(A)) -> tr(A)",
        "line 5, column 10: the function foo is not known\n  [one] tr(foo(A)) -> tr(A)\n           ^^^\n"
        "an unknown function is declared: foo: function",
    ),
    "unknown fact": (
        "[one] A^-1 -> A' if A is orthogonl",
        "line 5, column 21: no fact is called 'orthogonl'; there are: diagonal, distinct, fixedrank, fullrank, "
        "fullrow, integer, invertible, lower, maxrank, nonneg, nonzero, orthogonal, posdef, posdet, positive, "
        "principal, psd, simple, skew, square, stiefel, symmetric, upper\n"
        "  [one] A^-1 -> A' if A is orthogonl\n                      ^^^^^^^^^^^^^^",
    ),
    "only on the right": (
        "[one] tr(A') -> tr(B)",
        "line 5, column 17: [one] only on the right: B\n  [one] tr(A') -> tr(B)\n                  ^^^^^",
    ),
    "size only on the right": (
        "[one] tr(A') -> n*tr(A) for n: integer",
        "line 5, column 17: [one] only on the right: n\n  [one] tr(A') -> n*tr(A) for n: integer\n"
        "                  ^^^^^^^",
    ),
    "only in a guard": (
        "[one] (A')^-1 -> (A^-1)' if B is symmetric",
        "line 5, column 29: [one] only in a guard: B\n  [one] (A')^-1 -> (A^-1)' if B is symmetric\n"
        "                              ^^^^^^^^^^^^^^",
    ),
    "sides of two shapes": (
        "[one] A' -> A",
        "line 5, column 13: [one] the sides have shapes A.c×A.r and A.r×A.c\n  [one] A' -> A\n              ^",
    ),
    "right side that does not fit": (
        "[one] (A*B)' -> A'*B'",
        "line 5, column 17: [one] the sides do not have one shape: A'*B': A' is B.r×A.r but B' is B.c×B.r\n"
        "  [one] (A*B)' -> A'*B'\n                  ^^^^^",
    ),
    "left side that does not fit": (
        "[one] tr(A ⊗ B) -> tr(A)*tr(B)",
        "line 5, column 10: the trace needs a square matrix, but A ⊗ B is A.r*B.r×A.c*B.c\n"
        "  [one] tr(A ⊗ B) -> tr(A)*tr(B)\n           ^^^^^\nthe sizes cannot be seen from this",
    ),
    "bare variable": (
        "[one] A -> A + A",
        "line 5, column 7: [one] the left side is a bare variable: it would match everything\n"
        "  [one] A -> A + A\n        ^",
    ),
    "bare body": (
        "[one] e[i] -> 1",
        "line 5, column 7: [one] the left side is a bare variable: it would match everything\n"
        "  [one] e[i] -> 1\n        ^^^^",
    ),
    "fact about everything": (
        "[one] s is positive",
        "line 5, column 7: [one] a fact about a bare variable would hold of everything\n"
        "  [one] s is positive\n        ^",
    ),
    "unknown kind": (
        "[one] tr(A) -> tr(A') for A: widget",
        "line 5, column 30: the kind widget is not known\n  [one] tr(A) -> tr(A') for A: widget\n"
        "                               ^^^^^^",
    ),
    "ordered with a guard": (
        "[one] tr(A*B) -> tr(B*A) ordered if A is symmetric",
        "line 5, column 1: [one] an ordered row exchanges two variables, or has a product A*B and no guards\n"
        "  [one] tr(A*B) -> tr(B*A) ordered if A is symmetric\n"
        "  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ),
    "not a row": (
        "[one] A' = A",
        "line 5, column 10: '=' does not fit here\n  [one] A' = A\n           ^",
    ),
}


@pytest.mark.parametrize(("rows", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(rows, message):
    with pytest.raises(MatcalcError) as caught:
        load_text(LET + rows)
    assert str(caught.value) == message


LINEAR_REFUSED = {
    "not an inner product": ("adjoint", "[one] tr(X) -> tr(X')", "a row of this file reads inner"),
    "right not an inner product": ("adjoint", "[one] inner(X', A) -> tr(X)", "a row of this file reads inner"),
    "not a vec": ("vec", "[one] tr(X) -> vec(X)", "a row of this file reads vec"),
    "another name varies": ("vec", "[one] vec(A*B) -> (eye(n) ⊗ A)*vec(B) for B: matrix(m, n)", "is called X"),
    "shape of X": ("adjoint", "[one] inner(X', A) -> inner(X, A)", "one shape"),
}


@pytest.mark.parametrize(("file", "row", "message"), LINEAR_REFUSED.values(), ids=LINEAR_REFUSED)
def test_linear_row_refused(file, row, message):
    with pytest.raises(MatcalcError, match=message):
        load_text(f"ruleset {file}\nlet A, B, X: matrix\n{row}")


def test_an_unknown_fact_in_an_implication():
    with pytest.raises(MatcalcError, match="no fact is called 'nice'"):
        load_text("ruleset facts\nevery posdef is nice")


def test_guards_fix_shapes():
    """``A' -> A`` has one shape only because a symmetric matrix is square."""
    rule = load_text(LET + "[one] A' -> A if A is symmetric").file.rules[0]
    assert rule.left.is_square
