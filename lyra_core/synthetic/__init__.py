# SPDX-License-Identifier: Apache-2.0
"""Procedural worlds: a seed or a sentence becomes a scene, and a scene becomes images, exact depth and labels."""
