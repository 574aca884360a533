"""What can go wrong with what a person typed, each kind with its own name.

Every error of this package is a :class:`MatcalcError`.  Errors that come from text carry the
text and the place in it, and print the line with a caret under the place.
"""

from __future__ import annotations

import unicodedata


def _display_width(text: str) -> int:
    """Columns that ``text`` takes in a terminal: combining marks none, wide characters two."""
    width = 0
    for char in text:
        if unicodedata.combining(char):
            continue
        width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return width


class MatcalcError(Exception):
    """Base of all errors; ``text``, ``start`` and ``end`` locate it when it comes from text."""

    def __init__(
        self,
        message: str,
        *,
        text: str | None = None,
        start: int | None = None,
        end: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.text = text
        self.start = start
        self.end = end
        self.hint = hint

    def locate(self, text: str, start: int, end: int) -> MatcalcError:
        """Add the place in the text, unless a more precise one is known already."""
        if self.text is None:
            self.text, self.start, self.end = text, start, end
        return self

    @property
    def line(self) -> int | None:
        """Line of the error, counted from 1."""
        if self.text is None or self.start is None:
            return None
        return self.text.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int | None:
        """Column of the error, counted from 1."""
        if self.text is None or self.start is None:
            return None
        return self.start - (self.text.rfind("\n", 0, self.start) + 1) + 1

    def __str__(self) -> str:
        parts = [self.message]
        if self.text is not None and self.start is not None:
            begin = self.text.rfind("\n", 0, self.start) + 1
            stop = self.text.find("\n", self.start)
            line = self.text[begin : stop if stop >= 0 else len(self.text)]
            end = max(self.end or self.start, self.start + 1)
            shown = line.expandtabs(1)
            pad = " " * _display_width(shown[: self.start - begin])
            carets = "^" * max(1, _display_width(shown[self.start - begin : min(end - begin, len(shown))]))
            parts[0] = f"line {self.line}, column {self.column}: {self.message}"
            parts += ["  " + shown, "  " + pad + carets]
        if self.hint:
            parts.append(self.hint)
        return "\n".join(parts)


class ParseError(MatcalcError):
    """The text is not a sentence of the language."""


class ShapeError(MatcalcError):
    """Two shapes do not fit; the message holds both."""


class UnknownName(MatcalcError):
    """A name that nothing declares and that cannot be assumed."""


class NotDifferentiable(MatcalcError):
    """No derivative exists, or no rule gives one."""


class NoClosedForm(MatcalcError):
    """The equation could not be solved for the unknown by the rules."""


class LimitExceeded(MatcalcError):
    """The work asked for is larger than the limits allow."""


class RuleError(MatcalcError):
    """A rule file holds something that the loader refuses."""
