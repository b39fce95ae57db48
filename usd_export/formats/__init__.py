# SPDX-License-Identifier: Apache-2.0
"""Files of Gaussians alone: PLY in all dialects, compressed PLY, SPZ."""
