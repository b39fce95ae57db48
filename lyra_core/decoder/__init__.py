# SPDX-License-Identifier: Apache-2.0
"""The latent 3DGS decoder: video latents and cameras to Gaussians."""

from lyra_core.decoder.anchors import Anchors
from lyra_core.decoder.config import DecoderConfig
from lyra_core.decoder.embeddings import denormalize_latents, encode_plucker, encode_time
from lyra_core.decoder.model import GaussianDecoder
from lyra_core.decoder.pruning import prune, rows_to_gaussians

__all__ = [
    "Anchors",
    "DecoderConfig",
    "GaussianDecoder",
    "denormalize_latents",
    "encode_plucker",
    "encode_time",
    "prune",
    "rows_to_gaussians",
]
