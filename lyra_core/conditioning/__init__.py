# SPDX-License-Identifier: Apache-2.0
"""Image and depth in, warped and filled guidance frames out."""
