# SPDX-License-Identifier: Apache-2.0
"""Which encoding of Gaussians the running application can draw."""

from __future__ import annotations

import re

from .types import ENCODINGS, NUREC, PARTICLE_FIELD, StageError

_FIRST_KIT_WITH_PARTICLE_FIELDS = 110


def supports_particle_fields() -> bool:
    """Whether the USD of this process has the schema; in Kit an extension of its own brings it."""
    try:
        from pxr import Usd
    except ImportError:
        return False
    return Usd.SchemaRegistry().FindConcretePrimDefinition("ParticleField3DGaussianSplat") is not None


def choose_encoding(setting: str, kit_version: str | None) -> str:
    """The encoding to show: what the user set, else what the schemas and then the version of Kit allow.

    Args:
        setting: `auto`, `particlefield` or `nurec`.
        kit_version: Such as `110.1.2+main`; None outside of Kit.

    Raises:
        StageError: For another setting.
    """
    if setting in ENCODINGS:
        return setting
    if setting not in ("auto", ""):
        raise StageError(f"There is no encoding {setting!r}. Set it to auto, {' or '.join(ENCODINGS)}.")
    drawn = supports_particle_fields() or _major(kit_version) >= _FIRST_KIT_WITH_PARTICLE_FIELDS
    return PARTICLE_FIELD if drawn else NUREC


def _major(kit_version: str | None) -> int:
    number = re.match(r"\d+", kit_version or "")
    return int(number[0]) if number else 0
