"""The console script. The Typer app is `cli.py`: inside the package once installed, beside it in a checkout."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import signal
import sys
from pathlib import Path
from types import ModuleType

from sweep.lossy import lossy

# Chosen: what is imported and read for a report makes 134,000 objects, and hardly any of them is garbage. Measured: to
# look for it as often as Python does (700) takes a tenth of a report's time, to look once a twentieth.
_GC_THRESHOLD = 250_000


def main() -> None:
    """Run the command line; every error a user can mend becomes a line and an exit code."""
    gc.set_threshold(_GC_THRESHOLD)
    if sys.stderr is not None:  # a sweep that has no room for what it says goes on
        sys.stderr = lossy(sys.stderr)
    try:
        sys.exit(_load_cli().main())
    except KeyboardInterrupt:  # while modules are imported: later it is handled where something can be lost
        sys.exit(128 + signal.SIGINT)
    finally:  # it is ending already: one more signal changes nothing of its exit code
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()  # else Python looks through all that was imported for what to free: 60 ms of a report


def _load_cli() -> ModuleType:
    if importlib.util.find_spec("sweep._cli") is not None:
        return importlib.import_module("sweep._cli")
    path = Path(__file__).resolve().parent.parent / "cli.py"
    spec = importlib.util.spec_from_file_location("sweep._cli", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sweep._cli"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
