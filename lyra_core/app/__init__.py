# SPDX-License-Identifier: Apache-2.0
"""Composition root: the command line, where `lyra_core` and `usd_export` meet."""
