# SPDX-License-Identifier: Apache-2.0
"""How good is a scene? Rules, collider against Gaussians, floor, scale, and bodies that are dropped and driven on it.

`observation` looks at the Gaussians from where the scene says it was seen and `floor_map` finds the floor in that; both
are the promise. One file per judgement holds the collider to it; `card` runs them all and `page` shows the result.
"""

from usd_export.report_card.card import ReportCard, report_card
from usd_export.report_card.judgement import Figure, Judgement, Picture

__all__ = ["Figure", "Judgement", "Picture", "ReportCard", "report_card"]
