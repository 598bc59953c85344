"""The processor: its name, which on Apple's chips is the GPU's as well, and whether it computes in bfloat16."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

# Instructions that multiply bfloat16 numbers, the fastest first, as Linux calls them.
_BF16 = ("amx_bf16", "avx512_bf16")
_CPU_INFO = Path("/proc/cpuinfo")
_ASK_APPLE = ("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string")
_SECONDS_TO_ANSWER = 10.0


def cpu_name() -> str:
    """The processor's name, as the system knows it."""
    return _cpu_info("model name") or _apple_name() or platform.processor() or platform.machine()


def _apple_name() -> str:
    """`Apple M2`; empty where the system is not Apple's. Python itself knows no more of it than `arm`."""
    if platform.system() != "Darwin":
        return ""
    try:
        asked = subprocess.run(_ASK_APPLE, capture_output=True, text=True, timeout=_SECONDS_TO_ANSWER, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip()


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
