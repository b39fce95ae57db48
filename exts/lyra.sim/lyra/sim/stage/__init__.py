# SPDX-License-Identifier: Apache-2.0
"""Parts of `stage_ops`: what a scene is on a stage, where it goes, and what is authored for it."""
