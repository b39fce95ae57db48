# SPDX-License-Identifier: Apache-2.0
"""The things that worlds are furnished with. Importing the package fills the catalogue."""

from . import (
    fixtures,
    furniture,
    garage,
    industrial,
    laboratory,
    logistics,
    medical,
    openings,
    outdoor,
    people,
    retail,
    sanitary,
    school,
    tabletop,
    vehicles,
)
from .prop import CATALOG, Prop, Style, build

__all__ = [
    "CATALOG",
    "Prop",
    "Style",
    "build",
    "fixtures",
    "furniture",
    "garage",
    "industrial",
    "laboratory",
    "logistics",
    "medical",
    "openings",
    "outdoor",
    "people",
    "retail",
    "sanitary",
    "school",
    "tabletop",
    "vehicles",
]
