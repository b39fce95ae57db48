# SPDX-License-Identifier: Apache-2.0
"""The things that worlds are furnished with. Importing the package fills the catalogue."""

from . import fixtures, furniture, industrial, outdoor, tabletop
from .prop import CATALOG, Prop, Style, build

__all__ = ["CATALOG", "Prop", "Style", "build", "fixtures", "furniture", "industrial", "outdoor", "tabletop"]
