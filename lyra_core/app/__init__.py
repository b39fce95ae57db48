# SPDX-License-Identifier: Apache-2.0
"""Composition root: the command line and the worker, where `lyra_core` and `usd_export` meet."""

import os

# Spinning OpenMP workers slow each other down on few cores; torch reads this when it is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
