# SPDX-License-Identifier: Apache-2.0
"""Guidance in, video latents out: the tokenizer and the slot of the video teacher."""
