"""The REPL: a prompt with history, completion and symbols, over a session.

The calculus is loaded in the background while the person types the first line.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output.color_depth import ColorDepth

from .. import __version__
from ..errors import MatcalcError
from .complete import common_prefix, help_text, names_before, symbol_before, words_before

if TYPE_CHECKING:
    from .session import Session

BANNER = f"matcalc {__version__}: derivatives with respect to matrices.  help explains, quit leaves."
PROMPT, CONTINUED = "> ", "  "

_HELP = re.compile(r"(?:help\b|\?)\s*(\S*)\s*\Z")
_SKIPPED = re.compile(r"#[^\n]*|\$[^$]*\$")


# ---------------------------------------------------------------- one line


class Reader:
    """Runs what is typed in a session; knows the words that only a person at a prompt needs."""

    def __init__(self, out: Callable[[str], None] = print, debug: bool = False) -> None:
        self.out, self.debug = out, debug
        self._session: Session | None = None
        self._warming: Thread | None = None

    @property
    def session(self) -> Session:
        """The session, made when it is first needed."""
        self.wait()
        if self._session is None:
            from .session import Session

            self._session = Session()
        return self._session

    @property
    def ready_session(self) -> Session | None:
        """The session if it is there already; completion does not wait for it."""
        return self._session

    def warm_up(self) -> None:
        """Load the calculus in the background."""
        self._warming = Thread(target=_load, daemon=True)
        self._warming.start()

    def wait(self) -> None:
        """Until the calculus is loaded."""
        if self._warming is not None:
            self._warming.join()
            self._warming = None

    def read(self, text: str) -> bool:
        """Answer one input; False when the person wants to leave."""
        word = text.strip()
        if word in ("quit", "exit", "quit()", "exit()"):
            return False
        try:
            asked = _HELP.match(word)
            if asked and not (word == "help" and "help" in self.session.scope.known()):
                self.out(help_text(asked[1], self.session))
            else:
                self.session.run_each(text, lambda answer: self._show(answer.lines()))
        except MatcalcError as error:
            self._failed(str(error))
        except KeyboardInterrupt:
            self.out("interrupted")
        except RecursionError:
            self._failed("the expression is nested too deeply")
        except MemoryError:
            self._failed("the memory does not suffice")
        except OSError:
            raise
        except Exception as error:
            self._failed(f"an error of matcalc itself ({type(error).__name__}: {error}); matcalc --debug shows where")
        return True

    def _show(self, lines: list[str]) -> None:
        if lines:
            self.out("\n".join(lines))

    def _failed(self, message: str) -> None:
        if self.debug:
            traceback.print_exc()
        self.out(message)


def _load() -> None:
    """Import the calculus and read its rules and its grammar; an error will be met again in the foreground."""
    try:
        from .session import Session

        Session().run("x: vector(n); D(x'*x, x)")
    except Exception:
        return


def is_complete(text: str) -> bool:
    """Whether Enter ends the input: no bracket is open, or the last line was left empty."""
    if "\n" in text and not text.rpartition("\n")[2].strip():
        return True
    plain = _SKIPPED.sub("", text)
    return sum(map(plain.count, "([{")) <= sum(map(plain.count, ")]}"))


# ---------------------------------------------------------------- the prompt


class _Completer(Completer):
    """Completes ``\\names``, functions, types after a colon, and what the session knows."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What may follow."""
        typed, words = candidates(document.text_before_cursor, self.reader)
        for word in words:
            yield Completion(word, start_position=-len(typed))


def candidates(before: str, reader: Reader) -> tuple[str, list[str]]:
    """What was typed of a word, and the words that it may become."""
    typed, words = names_before(before)
    return (typed, words) if typed else words_before(before, reader.ready_session)


def key_bindings(reader: Reader) -> KeyBindings:
    """Enter, Tab and Ctrl-D; Tab works at once, so that keys typed right after it cannot overtake it."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    @bindings.add("tab")
    def _tab(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state:
            buffer.complete_next()
            return
        before = buffer.document.text_before_cursor
        symbol = symbol_before(before)
        if symbol is not None:
            buffer.delete_before_cursor(len(symbol[0]))
            buffer.insert_text(symbol[1])
            return
        typed, words = candidates(before, reader)
        shared = common_prefix(words) if words else ""
        if len(shared) > len(typed):
            buffer.insert_text(shared[len(typed) :])
        elif words:
            buffer.start_completion()

    return bindings


class _History(FileHistory):
    """A history that a full disk or a file without permission does not break."""

    def load_history_strings(self) -> Iterable[str]:
        """The lines of earlier sessions, the newest first."""
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        """Add one input."""
        try:
            super().store_string(string)
        except OSError:
            return


def history() -> History:
    """The history file of this user, or one in memory where no file can be written."""
    try:
        state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        folder = Path(state) / "matcalc"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "history").open("ab"):
            return _History(str(folder / "history"))
    except (OSError, RuntimeError):
        return InMemoryHistory()


def prompt_session(reader: Reader, color: bool = True, **streams: Any) -> PromptSession[str]:
    """The prompt; ``streams`` are prompt_toolkit's ``input`` and ``output``, for tests."""
    return PromptSession(
        multiline=True,
        key_bindings=key_bindings(reader),
        completer=_Completer(reader),
        complete_while_typing=False,
        history=streams.pop("history", None) or history(),
        prompt_continuation=CONTINUED,
        enable_history_search=False,
        color_depth=None if color else ColorDepth.DEPTH_1_BIT,
        **streams,
    )


def repl(color: bool = True, debug: bool = False, **streams: Any) -> int:
    """Read, answer, until the person leaves; the exit status."""
    reader = Reader(debug=debug)
    prompt = prompt_session(reader, color, **streams)
    print(BANNER, flush=True)
    start: Callable[[], None] | None = reader.warm_up
    while True:
        try:
            text = prompt.prompt(PROMPT, pre_run=start)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return 0
        finally:
            start = None
        if not reader.read(text):
            return 0
