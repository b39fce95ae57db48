# SPDX-License-Identifier: Apache-2.0
"""Gaussians as USD: particle fields and NuRec volumes, in one layer or in parts."""
