"""The processor: its name, and whether it computes in bfloat16."""

from __future__ import annotations

import platform
from pathlib import Path

# Instructions that multiply bfloat16 numbers, the fastest first, as Linux calls them.
_BF16 = ("amx_bf16", "avx512_bf16")
_CPU_INFO = Path("/proc/cpuinfo")


def cpu_name() -> str:
    """The processor's name, as the system knows it."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def bf16_instructions() -> str | None:
    """What the processor multiplies bfloat16 numbers with; None where it does not, or the system does not tell."""
    flags = _cpu_info("flags").split()
    return next((name for name in _BF16 if name in flags), None)


def _cpu_info(name: str) -> str:
    """What the system says under `name`, of the first core; empty where it says nothing."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
