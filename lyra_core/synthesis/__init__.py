# SPDX-License-Identifier: Apache-2.0
"""Data of the teacher for the decoder: prompts or pictures in, videos with latents, depth and cameras on disk out."""
