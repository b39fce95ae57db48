# SPDX-License-Identifier: Apache-2.0
"""What is authored besides the Gaussians: colliders, materials, labels, cameras, physics."""
