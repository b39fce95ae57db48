# SPDX-License-Identifier: Apache-2.0
"""A video file in; frames with cameras and depth out."""
