# SPDX-License-Identifier: Apache-2.0
"""Meaning of the columns in the arrays that the compiled kernels share."""

# A footprint (float32), one row per visible Gaussian; see `projection` for the formula these belong to.
X, Y = 0, 1
"""Projected centre [pixels of the whole image]."""
Q, S, T = 2, 3, 4
TILT_X, TILT_Y = 5, 6
NEARNESS = 7
OPACITY = 8
CUTOFF = 9
"""Exponent below which alpha is less than ALPHA_MIN."""
COLOR = 10
"""First of three channels."""
DEPTH = 13
ROW = 14
"""Number of columns."""

# Gradients (float32), one row per footprint or per footprint and tile; see `compositing_numba.composite_backward`.
KX, KY, KXX, KXY, KYY = 0, 1, 2, 3, 4
LX, LY, L0 = 5, 6, 7
J0 = 8
GRAD_OPACITY = 9
GRAD_COLOR = 10
GRAD_DEPTH = 13
GRAD_ROW = 14

# A view (float64): rows of the world-to-camera matrix 0 to 11, then
FX, FY, CX, CY = 12, 13, 14, 15
WIDTH, HEIGHT = 16, 17
X0, Y0, X1, Y1 = 18, 19, 20, 21
"""The window: begin and end."""
NEAR, FAR = 22, 23
