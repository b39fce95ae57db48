# SPDX-License-Identifier: Apache-2.0
"""Where tensors can be worked on."""

from __future__ import annotations

import torch

HOME = torch.device("cpu")
"""Main memory: where weights and finished results are kept."""


def working_device() -> torch.device:
    """The first GPU that torch can use, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else HOME


def device_name(device: torch.device) -> str:
    """For people and provenance, e.g. "cpu" or "cuda:0 (NVIDIA H200)"."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
