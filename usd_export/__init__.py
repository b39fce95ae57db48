# SPDX-License-Identifier: Apache-2.0
"""Gaussian clouds to USD scenes with colliders: numpy and usd-core, no torch."""

__version__ = "0.1.0"
