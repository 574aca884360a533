"""A term as the source of a stand-alone NumPy function.

Scalars are floats, columns and rows 1-D arrays, all else 2-D arrays; which of them a term is, is
known from its shape.  Shared parts are computed once, in the outermost place at which everything
they need is known; sums and products over an index are loops; a product with an indicator is
computed only where the indicator is 1.

All states of a recurrence are one node, its track, whatever states of it are looked up: one loop,
which keeps the last state only, or all of them in a dict by their index when several are needed.

Nothing here is recursive in the depth of the term.  From the users to the used, each node gets
its scope (:mod:`.scopes`); from the used to the users, its expression (:mod:`.writer`); then the
head of the function reads off the arrays the sizes that the body asked for (:mod:`.arguments`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

from ..errors import MatcalcError
from ..terms import ops
from ..terms.term import Term
from .arguments import Head
from .graph import Graph
from .helpers import HELPERS
from .lower import Known, Lowered, declared, lowered
from .names import Names, identifier
from .operators import CODE
from .pieces import ALIASING, returned
from .scopes import Plan
from .stable import stable
from .target import NUMPY, Target
from .writer import Writer, shortened

FORMS = ("array", "matrix2d")

Results = Mapping[str, Term | Mapping[Hashable, Term]]
"""Named results; one of them may be several terms, which come back as a dict."""


def to_numpy(
    term: Term | Mapping[str, Term],
    name: str = "f",
    inputs: Sequence[Term] | None = None,
    form: str = "array",
) -> str:
    """Source of a function ``name`` that computes the term from keyword arguments.

    ``inputs`` are variables and members of families whose arrays may serve to read sizes off;
    those that are not needed do not become arguments.  ``form`` is ``array`` (a scalar is a float,
    a vector (n,), all else 2-D) or ``matrix2d`` (everything 2-D).  A mapping of names to terms
    gives a function that returns a dict.  Raises :class:`MatcalcError` for a term with a
    differential or with an index outside its sum.
    """
    return to_source(term, name, inputs, form, NUMPY)


def to_source(
    term: Term | Mapping[str, Term],
    name: str,
    inputs: Sequence[Term] | None,
    form: str,
    target: Target,
    known: Known | None = None,
) -> str:
    """The same for another library than NumPy: the plan is one, ``target`` says how it is written."""
    if isinstance(term, Term):
        return several({"": term}, name, inputs, {"": form}, target, known)
    parts: dict[Hashable, Term] = dict(term.items())
    return several({"": parts}, name, inputs, {"": form}, target, known)


def several(
    results: Results,
    name: str = "f",
    inputs: Sequence[Term] | None = None,
    forms: Mapping[str, str] | None = None,
    target: Target = NUMPY,
    known: Known | None = None,
) -> str:
    """Source of a function that computes several results together, what they share once.

    It returns a tuple in the order of ``results``, of one result that result alone; a result of
    several terms is a dict.  ``forms`` says for each result which form it has (see :func:`to_numpy`), ``known``
    which facts hold of terms, by which positive definite matrices get a Cholesky factor.
    """
    forms = {key: (forms or {}).get(key, "array") for key in results}
    for form in forms.values():
        if form not in FORMS:
            raise MatcalcError(f"there is no form {form}: {', '.join(FORMS)}")
    roots = dict(_roots(results))
    _refuse(Graph(list(roots.values())))
    plain = [stable(root) for root in roots.values()]
    low = lowered(plain, known or declared) if target.lower else Lowered(plain, {})
    made = dict(zip(roots.values(), low.roots, strict=True))
    graph = Graph(low.roots, low.meaning)
    terms = graph.leaving_out_slots()
    names = Names(terms, inputs or ())
    writer = target.writer(names, graph, Plan(graph).nodes)
    told: list[str] = []
    given: set[tuple[Term, str]] = set()

    def value(asked: Term, form: str) -> str:
        result = made[asked]
        text = returned(writer.root(result), result, form)
        again = (result, form) in given and not result.is_scalar and result.op not in ALIASING
        given.add((result, form))
        return f"{text}.copy()" if again else text

    for key, result in results.items():
        if isinstance(result, Term):
            told.append(value(result, forms[key]))
        else:
            told.append("{" + ", ".join(f"{k!r}: {value(t, forms[key])}" for k, t in result.items()) + "}")
    head = Head(names, writer, terms, inputs or ())
    lines = [*head.lines(), *writer.body(", ".join(told), low.roots)]
    shown = {key: made[term] for key, term in roots.items()}
    return target.finish(_module(identifier(name), lines, shown, head, writer))


def _roots(results: Results) -> Iterator[tuple[str, Term]]:
    """All terms that are returned, each with what it is called in the docstring."""
    for key, result in results.items():
        if isinstance(result, Term):
            yield key, result
            continue
        for part, term in result.items():
            told = ", ".join(map(str, part)) if isinstance(part, tuple) else str(part)
            yield f"{key}[{told}]" if key else told, term


def _refuse(graph: Graph) -> None:
    for root in graph.roots:
        if graph.free(root):
            raise MatcalcError("an index occurs outside its sum, product or recurrence")
    for term in graph.terms:
        if term.op is ops.DIFF:
            raise MatcalcError("a differential has no value of its own: there is no code for d(...)")
        if term.op not in CODE:
            raise MatcalcError(f"there is no NumPy code for {term.op.name}")


def _module(name: str, body: list[str], roots: Mapping[str, Term], head: Head, writer: Writer) -> str:
    modules = [module for module in ("linalg", "special") if module in writer.helpers]
    inner = [module for module in ("blas", "lapack") if module in writer.helpers]
    imports = ["import numpy as np", *([f"from scipy import {', '.join(modules)}"] if modules else [])]
    imports += [f"from scipy.linalg import {', '.join(inner)}"] if inner else []
    sources = {**HELPERS, **writer.own_helpers}
    helpers = [sources[h] for h in sorted(writer.helpers) if h in sources]
    arguments = head.arguments
    parameters = f"*, {', '.join(arguments)}" if arguments else ""
    formulas = []
    for key, term in roots.items():
        large = term not in writer.printable
        formula = "A large expression." if large else shortened(writer.formula(term, writer.top), 400)
        formulas.append(f"{key} = {formula}" if key else formula)
    for number, equations in enumerate(dict.fromkeys(writer.where)):
        formulas += ["", f"where {equations}"] if number == 0 else [f"      {equations}"]
    shapes = head.described()
    doc = [*formulas, *(["", *shapes] if shapes else [])]
    doc[0] = f'r"""{doc[0]}'
    if len(doc) == 1:
        doc[0] += '"""'
    else:
        doc.append('"""')
    lines = [("    " + line).rstrip() for line in [*doc, *body]]
    return (
        "\n\n\n".join(
            ["\n".join(imports), *(h.rstrip() for h in helpers), "\n".join([f"def {name}({parameters}):", *lines])]
        )
        + "\n"
    )
