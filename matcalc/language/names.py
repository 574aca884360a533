"""Names: Greek letters and subscripts are spellings of one ASCII name."""

from __future__ import annotations

from functools import lru_cache

GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ",
        (  # noqa: SIM905
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau "
            "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
        ).split(),
        strict=True,
    )
)
VARIANTS = {"ϕ": "phi", "ϑ": "theta", "ϵ": "epsilon", "ς": "sigma", "µ": "mu"}
CAPITALS_LIKE_LATIN = dict(
    zip(
        "ΑΒΕΖΗΙΚΜΝΟΡΤΧ",
        "Alpha Beta Epsilon Zeta Eta Iota Kappa Mu Nu Omicron Rho Tau Chi".split(),  # noqa: SIM905
        strict=True,
    )
)
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
GREEK_NAMES = frozenset(GREEK.values())
SMALL_GREEK = frozenset(name for letter, name in GREEK.items() if letter.islower())


@lru_cache(maxsize=10_000)
def ascii_name(text: str) -> str:
    """The one spelling of a name: ``Σ`` and ``\\Sigma`` are ``Sigma``, ``x₁`` is ``x1``."""
    text = text.lstrip("\\").translate(SUBSCRIPTS)
    out = ""
    for char in text:
        out += GREEK.get(char) or VARIANTS.get(char) or CAPITALS_LIKE_LATIN.get(char) or char
    return out
