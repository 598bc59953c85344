"""Numbers as a reader sees them. None (not measured) is an empty text, never 0."""

from __future__ import annotations

import math
from fractions import Fraction

from sweep.recipe.duration import Ratio, decimal_text

# Chosen: beyond these powers of ten a number is read more easily with an exponent.
_PLAIN_EXPONENTS = (-5, 7)


def duration_text(seconds: float | None) -> str:
    """`0.42 s`, `59.9 s`, `2m 03s`, `1h 02m`."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h {minutes:02d}m"


def short_text(seconds: float) -> str:
    """`1.64 ms`, `21.3 us`; from a second on as `duration_text`."""
    if seconds >= 0.9995:
        return duration_text(seconds)
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-4 else f"{1e6 * seconds:.3g} us"


def clock_text(seconds: float) -> str:
    """`3:07`, `1:02:09`: a time that is running."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size_text(num_bytes: float) -> str:
    """`640 B`, `3.2 MB`, `120 GB`: in powers of 1000, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" or num_bytes >= 100 else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"


def energy_text(joules: float | None) -> str:
    """`640 J`, `36.5 kJ`, `2.30 kWh`."""
    if joules is None:
        return ""
    if joules < 3.6e6:
        return f"{joules:.4g} J" if joules < 9999.5 else f"{joules / 1e3:.1f} kJ"
    return f"{joules / 3.6e6:.2f} kWh"


def dollars_text(dollars: float) -> str:
    """`$12.34`, `$0.0042`."""
    return f"${dollars:.2f}" if dollars >= 0.995 else f"${dollars:.2g}"


def age_text(seconds: float | None) -> str:
    """`just now`, `12 min ago`, `3 h ago`, `5 d ago`."""
    if seconds is None:
        return ""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def number_text(value: float | None, pattern: str) -> str:
    return "" if value is None else pattern.format(value)


def significant_text(value: float, digits: int, of: float | None = None, sign: str = "") -> str:
    """`1.4693`: as many significant digits, or with as many decimals as `of` has with them; very large and very small
    numbers as `1.2346e+12`. `sign` is "+" where a sign is always shown."""
    size = abs(value if of is None else of)
    exponent = math.floor(math.log10(size)) if size else 0
    if not _PLAIN_EXPONENTS[0] <= exponent <= _PLAIN_EXPONENTS[1]:
        return f"{value:{sign}.{digits - 1}e}"
    return f"{value:{sign}.{max(digits - 1 - exponent, 0)}f}"


def ratio_text(asked: str, realised: Fraction | float) -> str:
    """The ratio as it was typed, with the realised one behind it where they differ: `0.33 (0.3)`."""
    exact = Ratio.parse(asked).value
    if float(exact) == float(realised):
        return asked
    return f"{asked} ({realised_text(realised)})"


def realised_text(realised: Fraction | float) -> str:
    """A realised ratio: exact where it is a short decimal, else to four digits."""
    shown = decimal_text(Fraction(realised), places=4) if isinstance(realised, Fraction) else ""
    return shown if shown and "/" not in shown else f"{float(realised):.4g}"


def times_text(factor: float) -> str:
    """`5.18x`, `12.3x`, `120x`: to three digits."""
    return f"{factor:.2f}x" if factor < 9.995 else f"{factor:.1f}x" if factor < 99.95 else f"{factor:.0f}x"
