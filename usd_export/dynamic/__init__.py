# SPDX-License-Identifier: Apache-2.0
"""Gaussians that move: the cloud over time, and how USD stores, plays and gives back its motion."""
