"""Text to terms: what each construct of the language means."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from lark import Lark

from matcalc.errors import LimitExceeded, MatcalcError, ParseError, UnknownName
from matcalc.language import parser
from matcalc.language.elaborate import Elaboration, parse_expression
from matcalc.language.parser import parse_syntax
from matcalc.language.scope import Scope
from matcalc.language.shapes import Shape
from matcalc.language.syntax import walk
from matcalc.resources import data_dir
from matcalc.terms import build, ops
from matcalc.terms.dims import ONE, Index, Name, SizeAt, dim
from matcalc.terms.symbols import Family, Symbol, Unknown
from matcalc.terms.term import Term

WHERE = (
    "A: matrix(m,n); B: matrix(m,n); C: matrix(n,n); S: posdef(n); "
    "x: vector(n); y: vector(n); z: vector(m); s: scalar; t: scalar"
)


def scope(where: str = WHERE) -> Scope:
    made = Scope()
    made.declare_all(where)
    return made


def read(text: str, where: str = WHERE) -> Term:
    return parse_expression(text, scope(where)).term


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A'", "A^T"),
        ("A'", "A.T"),
        ("A'", "Aᵀ"),
        ("A'", "trans(A)"),
        ("inv(C)", "C^-1"),
        ("inv(C)", "C⁻¹"),
        ("inv(C)'", "C^-T"),
        ("inv(C)'", "C⁻ᵀ"),
        ("C*C*C", "C*(C*C)"),
        ("C^3", "C³"),
        ("A*x", "A@x"),
        ("A .* B", "A ⊙ B"),
        ("kron(A, B)", "A ⊗ B"),
        ("kron(A, B, C)", "A ⊗ B ⊗ C"),
        ("norm(x)", "‖x‖"),
        ("norm(x)", "norm2(x)"),
        ("sum(abs(A))", "norm1(A)"),
        ("x - y", "x − y"),
        ("s*A", "A*s"),
        ("x'*y*A", "(x'*y)*A"),
        ("A/s", "s^-1*A"),
        ("A ./ B", "A .* B.^-1"),
        ("2 .+ x", "x .+ 2"),
        ("x .- s", "x - s*ones(n)"),
        ("s .- x", "s*ones(n) - x"),
        ("s ./ x", "s*x.^-1"),
        ("s^2'", "s^2"),
        ("0.1 + 0.2", "0.3"),
        ("1e-3", "1/1000"),
        ("x + vector(1)", "x + ones(n)"),
        ("A + matrix(1)", "A + ones(m,n)"),
        ("A + 0", "A"),
        ("-(-x)", "x"),
        ("[A, 0; 0, C]", "[A, zeros(m,n); zeros(n,n), C]"),
        ("[x; y]", "[x; y]"),
        ("n*x", "x*n"),
        ("x/n", "n^-1*x"),
        ("rows(A)*x", "m*x"),
        ("sum(i=1..n, x[i])", "sum(k=1..n, x[k])"),
        ("sum(i=n..1, x[i])", "sum(i=1..n, x[i])"),
        ("sum(i=1..m, j=1..n, A[i,j])", "sum(i=1..m, sum(j=1..n, A[i,j]))"),
        ("ind(2 >= 1)*x", "x"),
        ("unvec(vec(A), m, n)", "A"),
        ("exp(x)", "exp((((x))))"),
        ("sqrt(s)", "s^(1/2)"),
        ("square(x)", "x.^2"),
    ],
)
def test_two_spellings_of_one_term(one: str, other: str) -> None:
    where = scope()
    assert parse_expression(one, where).term is parse_expression(other, where).term


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("A*x", "m 1"),
        ("x*z'", "n m"),
        ("kron(A, C)", "m*n n^2"),
        ("vec(A)", "m*n 1"),
        ("diag(x)", "n n"),
        ("diag(C)", "n 1"),
        ("commutation(m, n)", "m*n m*n"),
        ("basis(2, m)", "m 1"),
        ("[A; C]", "m+n n"),
        ("[A, z]", "m n+1"),
        ("x'*S*x", "1 1"),
        ("s^t", "1 1"),
        ("logdet(S)*A", "m n"),
        ("prod(k=1..n, C)", "n n"),
        ("1 .+ exp(A)", "m n"),
    ],
)
def test_shapes(text: str, shape: str) -> None:
    rows, cols = (parse_expression(f"eye({d})", Scope()).term.rows for d in shape.split())
    assert read(text).shape == (rows, cols)


def test_leaves() -> None:
    assert read("0.25") is build.num(Fraction(1, 4))
    assert read("pi") is build.PI
    assert read("s") is build.sym(Symbol("s", ONE, ONE))
    assert read("S").attr.facts == {"posdef"}
    assert read("n") is build.integer("n")
    assert read("eye(2*n + 1)") is build.eye(dim("n") * 2 + 1)


def test_greek_is_one_name() -> None:
    where = scope("Sigma: posdef(n)")
    terms = {parse_expression(text, where).term for text in ("Sigma", "\\Sigma", "Σ")}
    assert len(terms) == 1


def test_families_and_indexed_sizes() -> None:
    where = Scope()
    where.declare("W[k=0..L-1]", "matrix(h[k+1], h[k])")
    where.declare("x", "vector(h[0])")
    family = where.symbols["W"]
    assert isinstance(family, Family)
    first = parse_expression("W[0]*x", where).term
    assert first.shape == (dim(SizeAt("h", ONE)), ONE)
    assert parse_expression("h[0]*x", where).term.args[0].attr is SizeAt("h", dim(0))
    assert parse_expression("W[k+1]", where).term.attr.at is dim("k") + 1
    with pytest.raises(MatcalcError, match="starts at 0"):
        parse_expression("W[0-1]", where)
    with pytest.raises(MatcalcError, match="is a family"):
        parse_expression("tr(W)", where)


def test_entries() -> None:
    assert read("A[i,j]") is build.entry(read("A"), "i", "j")
    assert read("x[i]") is build.entry(read("x"), "i")
    assert read("(A*C)[1,2]") is build.entry(read("A*C"), 1, 2)
    with pytest.raises(MatcalcError, match="two indices"):
        read("A[i]")


def test_identity_of_the_size_that_fits() -> None:
    assert read("C + s*eye") is read("C + s*eye(n)")
    assert read("tr(inv(A'*A + s*eye))") is read("tr(inv(A'*A + s*eye(n)))")
    assert read("eye*s", "eye, s: scalar") is read("s*eye", "eye, s: scalar")
    with pytest.raises(MatcalcError, match="cannot be seen"):
        read("tr(eye)")


def test_zero_below_a_vector_of_any_length() -> None:
    assert read("[x[1..n-1]; 0]", "x: vector(n)").shape == read("x", "x: vector(n)").shape


def test_submatrices() -> None:
    assert read("A[1..2,i..j]") is build.submatrix(read("A"), 1, 2, "i", "j")
    assert read("A[i,1..2]") is build.submatrix(read("A"), "i", "i", 1, 2)
    assert read("x[2..n-1]") is build.submatrix(read("x"), 2, dim("n") - 1)
    assert read("x'[2..3]") is read("x[2..3]'")
    assert read("A[1..m,1..n]") is read("A")
    with pytest.raises(MatcalcError, match="a block is"):
        read("A[1..2]")
    with pytest.raises(MatcalcError, match="not among"):
        read("A[0..2,1..n]")
    with pytest.raises(MatcalcError, match="not among"):
        read("A[3..2,1..n]")


def test_powers_of_matrices_and_scalars() -> None:
    assert read("C^k") is build.mpow(read("C"), "k")
    assert read("C^(2*k-1)") is build.mpow(read("C"), dim("k") * 2 - 1)
    assert read("s^t") is build.power_of(read("s"), read("t"))
    assert read("s^k", "s: scalar; k: integer") is build.power_of(build.sym(Symbol("s", ONE, ONE)), build.integer("k"))
    with pytest.raises(MatcalcError, match="integer exponent"):
        read("C^(1/2)")


def test_transpose_or_power() -> None:
    plain = parse_expression("C^T", scope())
    assert plain.term is read("C'")
    assert not plain.notes
    counted = parse_expression("C^T + sum(k=0..T-1, C^k)", scope())
    assert build.mpow(read("C"), "T") in counted.term.args
    assert "power" in counted.notes[0]
    assert parse_expression("C^T", scope(WHERE + "; T: integer")).notes


def test_direction_of_products() -> None:
    where = scope("W[j=1..L]: matrix(n,n)")
    up, down = (parse_expression(t, where).term for t in ("prod(j=1..L, W[j])", "prod(j=L..1, W[j])"))
    assert (up.attr.step, down.attr.step) == (1, -1)
    nested = parse_expression("sum(i=1..L, prod(j=L..i+1, W[j]))", where).term
    assert nested.args[0].attr.step == -1
    for text, step in (("prod(j=L..k+1, W[j])", -1), ("prod(j=k-1..1, W[j])", -1), ("prod(j=k..L, W[j])", 1)):
        assert parse_expression(text, where).term.attr.step == step, text  # it begins or ends where the family does
    longer = parse_expression("sum(k=1..T-1, C^k)", scope())
    assert longer.term.attr.step == 1
    assert "k=1..T-1 goes up: 1 <= T is assumed" in longer.notes
    by = parse_expression("prod(j=a..b by -1, W[j])", where).term
    assert (by.attr.step, by.attr.index) == (-1, Index(1, dim("a"), dim("b"), -1))
    with pytest.raises(ParseError, match="up or down"):
        parse_expression("prod(j=a..b, W[j])", where)
    with pytest.raises(ParseError, match="1 or by -1"):
        parse_expression("prod(j=a..b by 2, W[j])", where)


def test_bound_indices_are_scoped() -> None:
    made = parse_expression("sum(i=1..n, x[i]*sum(i=1..n, y[i])) + i", scope(WHERE + "; i: scalar"))
    assert made.term.args[0].attr.name == "i" or made.term.args[1].attr.name == "i"
    assert [name for _, _, name in made.index_names] == ["i", "i"]
    assert not made.term.indices


def test_unknown_functions() -> None:
    where = scope(WHERE + "; phi: function")
    assert parse_expression("phi(x)", where).term is build.fun(Unknown("phi", 0), read("x"))
    assert parse_expression("phi''(A*x)", where).term is build.fun(Unknown("phi", 2), read("A*x"))
    with pytest.raises(UnknownName):
        read("phi(x)")


def test_definitions_and_functions() -> None:
    where = scope("S: posdef(n); mu: vector(n); x[i=1..N]: vector(n)")
    where.define_all({"q": "inv(S)", "p(v)": "exp(-1/2*(v-mu)'*q*(v-mu))", "r(v, k)": "p(v)^k*tr(eye(k))"})
    one = parse_expression("sum(i=1..N, p(x[i]))", where).term
    assert one is parse_expression("sum(i=1..N, exp(-1/2*(x[i]-mu)'*inv(S)*(x[i]-mu)))", where).term
    assert parse_expression("r(mu, 3)", where).term is parse_expression("p(mu)^3*tr(eye(3))", where).term
    before = parse_expression("p(x[1])", where).term
    where.declare("mu", "vector(n)")
    where.declare("S", "symmetric(n)")
    assert parse_expression("p(x[1])", where).term is before, "a function keeps the meaning of its names"
    assert where.define("f", "p(mu) + 1").is_scalar
    assert parse_expression("f", where).term is where.definitions["f"]


def test_definition_shadowing_and_redeclaration() -> None:
    where = scope("x: vector(n)")
    where.define("f", "x'*x")
    where.declare("x", "vector(m)")
    assert parse_expression("f", where).term.args[0].rows is not dim("m")
    where.declare("f", "scalar")
    assert parse_expression("f", where).term.op is ops.SYM


def test_scope_copy_is_independent() -> None:
    where = scope("x: vector(n)")
    other = where.copy()
    other.declare("x", "scalar")
    assert parse_expression("x", where).term.rows is dim("n")


def test_assumptions() -> None:
    where = scope("A: matrix(n,n); t: scalar; S: matrix(n,n)")
    text = "assume S is posdef, det(A) > 0 and t <= 1"
    for node in parse_syntax(text, "script").nodes()[0].nodes():
        where.assume(node, text)
    expected = {("S", "posdef"), ("det(A)", "positive"), ("1 - t", "nonneg")}
    assert where.assumptions == {(parse_expression(e, where).term, fact) for e, fact in expected}
    bad = parse_syntax("assume S is possdef", "script").nodes()[0].nodes()[0]
    with pytest.raises(UnknownName, match="fact possdef"):
        where.assume(bad, "assume S is possdef")


class _Gradient:
    def shape(self, args: list[Shape]) -> Shape:
        return args[1]

    def build(self, args: list[Term]) -> Term:
        return build.diff(args[1])


def test_operations_are_handed_in() -> None:
    where = scope()
    where.operations = {"grad": _Gradient()}
    assert parse_expression("A*grad(x'*x, x)", where).term is build.mul(read("A"), build.diff(read("x")))
    with pytest.raises(MatcalcError, match="not available"):
        read("grad(x'*x, x)")


def test_equations() -> None:
    where = scope("A: matrix(m,n)")
    node = parse_syntax("A*x = b", "script").nodes()[0]
    both = Elaboration(where, "A*x = b")
    for side in node.nodes():
        both.infer(side)
    equation = parse_syntax("solve(A*x = 0)").parts[1].parts[0]
    zero = Elaboration(where, "solve(A*x = 0)")
    zero.infer(equation)
    zero.settle()
    left, right = zero.sides(equation)
    assert left.shape == right.shape == (dim("m"), ONE)
    assert right.op is ops.ZEROS


# ------------------------------------------------------------------ patterns of rules


def patterns() -> Scope:
    made = Scope()
    kinds = {
        "A": "matrix",
        "B": "matrix",
        "S": "square",
        "x": "vector",
        "s": "scalar",
        "phi": "function",
        "k": "integer",
    }
    for name, kind in {**kinds, "e[i]": "matrix", "g[i]": "scalar", "X": "matrix(m,n)"}.items():
        made.declare_pattern(name, kind)
    return made


def rule(left: str, right: str) -> tuple[Term, Term, Elaboration]:
    text = f"[r] {left} -> {right}"
    node = parse_syntax(text, "rulefile").nodes()[0]
    made = Elaboration(patterns(), text, patterns=True)
    a = made.infer(node.parts[1])
    made.freeze()
    made.unify(a, made.infer(node.parts[2]))
    made.settle()
    return made.build(node.parts[1]), made.build(node.parts[2]), made


def test_patterns() -> None:
    left, right, made = rule("d(A*B)", "dA*B + A*dB")
    a, b = made.variables["A"], made.variables["B"]
    assert isinstance(a, Symbol) and isinstance(b, Symbol)
    assert (a.role, a.cols) == ("pattern", b.rows)
    assert left is build.diff(build.mul(build.sym(a), build.sym(b)))
    assert right.has_diff
    assert a.rows is dim(Name("A.r"))
    left, right, made = rule("sum(i=a..b, e[i]*A)", "sum(i=a..b, e[i])*A")
    assert isinstance(made.variables["e"], Family)
    assert left.shape == right.shape
    assert rule("d(phi(A))", "phi'(A) .* dA")[1].has_diff
    assert rule("vec(X')", "commutation(m, n)*vec(X)")[1].args[0].attr == (dim("m"), dim("n"))
    assert rule("vec(A')", "commutation(rows(A), cols(A))*vec(A)")[0].rows is dim("A.r") * dim("A.c")
    assert rule("inner(A, B)", "tr(A'*B)")[0].op is ops.INNER
    assert rule("S^k*S", "S^(k+1)")[1].attr is dim("k") + 1


def test_patterns_after_settling() -> None:
    text = "[r] tr(S^k) -> s if k >= 2"
    node = parse_syntax(text, "rulefile").nodes()[0]
    work = Elaboration(patterns(), text, patterns=True)
    work.infer(node.parts[1])
    work.settle()
    work.freeze()
    work.infer(node.parts[2])
    relation = next(n for n in walk(node) if n.kind == "relation")
    assert work.dim_of(relation.parts[0]) is dim("k")
    assert work.build(node.parts[2]).attr.role == "pattern"


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ("tr(kron(A, B))", "tr(A)*tr(B)", "needs a square"),
        ("A*B", "B*A", "A.r"),
        ("A'*A", "A*A", "is A.r×A.c"),
        ("s*A", "Q", "name Q"),
    ],
)
def test_right_sides_may_only_check(left: str, right: str, message: str) -> None:
    with pytest.raises(MatcalcError, match=message):
        rule(left, right)


# ------------------------------------------------------------------ the grammar, places, depth


def test_grammar_has_no_conflicts() -> None:
    text = (data_dir("grammar") / "matcalc.lark").read_text(encoding="utf-8")
    Lark(text, start=list(parser.STARTS), parser="lalr", lexer="contextual", postlex=parser._Layout(), strict=True)


@pytest.mark.parametrize("text", ["(A*x)' + f(x)", "[A, B; C, 0][1,2]", "‖x‖^2", "phi''(x)", "x[i]", "sum(i=1..N, x)"])
def test_nodes_span_their_brackets(text: str) -> None:
    root = parse_syntax(text)
    assert (root.start, root.end) == (0, len(text))
    for node in walk(root):
        written = text[node.start : node.end]
        assert written.count("(") == written.count(")")
        assert written.count("[") == written.count("]")


@pytest.mark.parametrize(
    "text",
    [
        " + ".join(f"{i}*A*x" for i in range(4000)),
        " + ".join(f"v{i}" for i in range(4000)),
        "exp(" * 2000 + "x" + ")" * 2000,
        "(" * 2000 + "x" + ")" * 2000,
        "-" * 2000 + "x",
        "C" + "'" * 2001,
        "*".join(["C"] * 2000),
        " .* ".join(f"v{i}" for i in range(1500)),
        "sum(i=1..n, " * 500 + "x" + ")" * 500,
        "eye(" + "(" * 2000 + "n" + ")" * 2000 + ")",
    ],
    ids=["sum", "undeclared", "calls", "parentheses", "signs", "transposes", "product", "hadamard", "sums", "size"],
)
def test_long_and_deep_texts(text: str) -> None:
    parse_syntax("x")
    begin = time.perf_counter()
    read(text)
    assert time.perf_counter() - begin < 10, "well under 2 s on an idle machine"


def test_exploding_functions_are_refused() -> None:
    where = Scope()
    where.define_all({"f0(x)": "exp(x)", **{f"f{i}(x)": f"f{i - 1}(x) + f{i - 1}(x)" for i in range(1, 40)}})
    with pytest.raises(LimitExceeded):
        parse_expression("f39(y)", where)


def test_all_errors_are_ours() -> None:
    for text in (
        "0^-1",
        "1/0",
        "9^99999999",
        "1e999999",
        "x^",
        "f()",
        "sum()",
        "inv()",
        "ind(x)",
        "prod(A)",
        "eye(1.5)",
        "{a}",
        "A[1,2,3]",
    ):
        with pytest.raises(MatcalcError):
            read(text)
