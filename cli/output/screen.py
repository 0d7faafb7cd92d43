"""A terminal with a panel at its end, below the text that scrolls."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    Draw = Callable[[int, int], Sequence[str]]
    """From the columns and rows of the terminal to the lines of the panel."""

_PAUSE: Final = 0.1
"""Seconds between two frames at least."""
_TICK: Final = 0.25
"""Seconds between two frames at most. The panel shows whole seconds."""
_BEGIN, _END = b"\x1b[?2026h\x1b[?25l", b"\x1b[?25h\x1b[?2026l"
"""Around a frame. A terminal that knows mode 2026 shows the frame at once. The cursor is hidden
only within a frame, so that no death of this process leaves it hidden."""
_ERASE_LINE, _ERASE_BELOW, _RESET = b"\x1b[K", b"\x1b[J", b"\x1b[0m"
_FALLBACK: Final = os.terminal_size((80, 24))


class Screen:
    """Shows text on a terminal as it comes, and keeps a panel below it.

    While a panel is shown, `write` only takes the text: its caller never waits for the terminal. A
    thread draws. It erases the panel, prints the text and draws the panel again, in one write. A
    line is shown once it is complete. Text waits in memory while the terminal takes none.

    Without a panel `write` writes to the terminal itself.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._text: list[bytes] = []
        self._shown: list[bytes] = []
        self._is_live = False
        self._is_gone = False
        self._wake = threading.Event()
        self._closing = threading.Event()

    @contextlib.contextmanager
    def showing(
        self, draw: Draw, on_fault: Callable[[BaseException], object] = lambda _: None
    ) -> Generator[None]:
        """Show a panel until the end of the block. Use it once: no more processes may be forked, as
        a thread starts. `on_fault` gets an error of `draw`, after which there is no panel.
        """
        drawn = _Guarded(draw, on_fault)
        thread = threading.Thread(
            target=self._keep_drawing, args=(drawn,), name="relay-screen", daemon=True
        )
        self._out.flush()
        self._is_live = True
        thread.start()
        try:
            yield
        finally:
            self._closing.set()
            self._wake.set()
            thread.join()
            with self._lock:
                self._frame(b"".join(self._text), [])
                self._is_live = False

    def write(self, data: bytes) -> int:
        """Take text. It never waits and raises nothing while the panel is shown."""
        with self._lock:
            if self._is_live:
                self._text.append(data)
                self._wake.set()
                return len(data)
        return self._out.write(data)

    def flush(self) -> None:
        if not self._is_live:
            self._out.flush()

    def fileno(self) -> int:
        return self._out.fileno()

    def _keep_drawing(self, draw: Draw) -> None:
        while not self._closing.is_set():
            columns, rows = self._size()
            lines = [line.encode("utf-8", "replace") for line in draw(columns, rows)]
            if lines:  # a panel that shrank and grew would shake all text above it
                lines += [b""] * (min(len(self._shown), rows // 2) - len(lines))
            self._frame(self._whole_lines(), lines)
            self._closing.wait(_PAUSE)
            self._wake.wait(_TICK - _PAUSE)

    def _whole_lines(self) -> bytes:
        """The text since the last call. The beginning of a line stays for the next call."""
        with self._lock:
            self._wake.clear()
            text, newline, rest = b"".join(self._text).rpartition(b"\n")
            self._text = [rest] if rest else []
        return text + newline

    def _size(self) -> os.terminal_size:
        try:
            size = os.get_terminal_size(self._out.fileno())
        except (OSError, ValueError):
            return _FALLBACK
        return size if size.columns and size.lines else _FALLBACK

    def _frame(self, text: bytes, lines: list[bytes]) -> None:
        if self._is_gone or not (text or lines != self._shown):
            return
        up = len(self._shown) - 1
        frame = _BEGIN + b"\r" + (b"\x1b[%dA" % up if up > 0 else b"")
        if text:
            frame += _ERASE_BELOW + text + (_RESET if lines else b"")
        frame += b"\r\n".join(line + _ERASE_LINE for line in lines) + _ERASE_BELOW + _END
        self._shown = lines
        try:
            self._out.write(frame)
            self._out.flush()
        except (OSError, ValueError):  # the terminal is gone, dbt and its records are not
            self._is_gone = True
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self._out.fileno())
                os.close(null)


class _Guarded:
    """Draws until the first error: dbt's text goes on without the panel."""

    def __init__(self, draw: Draw, on_fault: Callable[[BaseException], object]) -> None:
        self._draw: Draw | None = draw
        self._on_fault = on_fault

    def __call__(self, columns: int, rows: int) -> Sequence[str]:
        if self._draw is None:
            return ()
        try:
            return self._draw(columns, rows)
        except Exception as error:
            self._draw = None
            self._on_fault(error)
            return ()
