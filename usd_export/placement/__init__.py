# SPDX-License-Identifier: Apache-2.0
"""How a scene comes to stand in the world: vertical, floor, scale, crop, baking."""
