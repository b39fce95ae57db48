# SPDX-License-Identifier: Apache-2.0
"""The window. `view_model`, `form` and `texts` are plain Python; the other modules need `omni.ui`."""
