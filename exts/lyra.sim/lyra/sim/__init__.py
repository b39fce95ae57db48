# SPDX-License-Identifier: Apache-2.0
"""Lyra inside Isaac Sim: generate a scene from a prompt, spawn it on the open stage.

`lyra.sim.api` is for scripts. Importing this package loads no Kit module, no pxr and no torch outside of Kit.
"""

import sys

__version__ = "0.1.0"
__all__ = ["__version__"]

# Kit's loader of Python extensions is part of omni.ext, hence there before this module; trying to import it would
# load the namespace package `omni` that other packages share.
if "omni.ext" in sys.modules:
    from .extension import LyraSimExtension  # Kit looks for the class in this module

    __all__ += ["LyraSimExtension"]
