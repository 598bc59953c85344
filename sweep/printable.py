"""Text from outside (names, keys, error messages) made safe to print: no control byte reaches a terminal."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    r"""`text` with every control and formatting character, ESC and bidi overrides included, written as `\x1b`."""
    return "".join(_escaped(char) if _is_control(char) else char for char in text)


def one_line(text: str) -> str:
    """Text from outside (names, reasons) as a single line without a control character."""
    return printable(text.replace("\n", " "))


def is_unicode(text: str) -> bool:
    """Whether it can be written down: bytes of a name or of the command line that are not UTF-8 arrive as lone
    surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char != "\n"


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
