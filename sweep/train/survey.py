"""What torch has to compute with, as a line of JSON: `python -m sweep.train.survey`.

A process of its own, so that whoever asks is not brought down by a torch that cannot be imported.
"""

from __future__ import annotations

import json
import sys

import torch
import torchvision

from sweep.processor import cpu_name


def survey() -> dict[str, object]:
    """Versions, the processor, name and memory in bytes of each GPU of CUDA's, and whether there is one of Apple's."""
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "cuda": torch.version.cuda,
        "mps": torch.backends.mps.is_available(),
        "cpu": cpu_name(),
        "gpus": [{"name": gpu.name, "num_bytes": gpu.total_memory} for gpu in found],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(survey()))
