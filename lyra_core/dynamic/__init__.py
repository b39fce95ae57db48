# SPDX-License-Identifier: Apache-2.0
"""One posed video to a moving scene: 4D conditioning, one reconstruction per instant, static and moving Gaussians."""
