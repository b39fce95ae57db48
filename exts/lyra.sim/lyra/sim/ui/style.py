# SPDX-License-Identifier: Apache-2.0
"""Sizes [px] and colours (0xAABBGGRR) of the window; everything else is left to the application's own style."""

from __future__ import annotations

WINDOW_WIDTH = 440
WINDOW_HEIGHT = 860
LABEL_WIDTH = 104
ROW_HEIGHT = 24
PROMPT_HEIGHT = 72
PREVIEW_HEIGHT = 120
LOG_HEIGHT = 160
THUMBNAIL_WIDTH = 96
THUMBNAIL_HEIGHT = 60
BUTTON_WIDTH = 96
SPACING = 6

QUIET = {"color": 0xFFA0A0A0}
NORMAL: dict[str, int] = {}
WARNING = {"color": 0xFF40B0FF}
