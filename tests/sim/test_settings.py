# SPDX-License-Identifier: Apache-2.0
"""Settings: one table, typed values, and a text for every value that cannot be used."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from lyra.sim.settings_schema import SETTINGS, Settings

PATHS = {setting.field: setting.path for setting in SETTINGS}


def load(**values: Any) -> tuple[Settings, list[str]]:
    by_path = {PATHS[field]: value for field, value in values.items()}
    return Settings.load(by_path.get)


def test_the_table_is_complete() -> None:
    assert sorted(PATHS) == sorted(field.name for field in fields(Settings))
    assert len(set(PATHS.values())) == len(SETTINGS)
    assert all(setting.doc.endswith(".") for setting in SETTINGS)
    assert all(getattr(Settings(), setting.field) == setting.default for setting in SETTINGS)


def test_what_survives_a_restart() -> None:
    persistent = {field for field, path in PATHS.items() if path.startswith("/persistent/exts/lyra.sim/")}
    assert persistent == {"worker_python", "output_dir", "device", "keep_models_loaded", "last_input_dir"}
    assert all(path.startswith("/exts/lyra.sim/") for field, path in PATHS.items() if field not in persistent)


def test_defaults_stand_in_for_what_is_not_set() -> None:
    assert load() == (Settings(), [])


def test_values_are_taken() -> None:
    given = Settings("/repo", "/python", "/out", "cpu", "nurec", 5.0, 30.0, True, True, "/in")
    loaded, problems = load(**{field.name: getattr(given, field.name) for field in fields(Settings)})
    assert (loaded, problems) == (given, [])


def test_kinds_that_kit_mixes_up_are_taken() -> None:
    settings, problems = load(heartbeat_timeout_s=30, show_on_startup=1, encoding=" nurec ")
    assert (settings.heartbeat_timeout_s, settings.show_on_startup, settings.encoding) == (30.0, True, "nurec")
    assert isinstance(settings.heartbeat_timeout_s, float) and settings.show_on_startup is True
    assert problems == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("repo_root", 7),
        ("worker_python", ["/python"]),
        ("encoding", "gsplat"),
        ("encoding", ""),
        ("heartbeat_timeout_s", "60"),
        ("heartbeat_timeout_s", 0),
        ("heartbeat_timeout_s", True),
        ("heartbeat_timeout_s", float("nan")),
        ("heartbeat_timeout_s", 10**400),
        ("poll_hz", -1.0),
        ("poll_hz", 1e9),
        ("show_on_startup", "yes"),
        ("show_on_startup", 2),
        ("show_on_startup", 1.0),
        ("keep_models_loaded", {}),
    ],
)
def test_unusable_values_are_named_and_replaced(field: str, value: object) -> None:
    settings, problems = load(**{field: value})
    assert settings == Settings()
    assert len(problems) == 1
    assert problems[0].startswith(f"Setting {PATHS[field]} should be")
    assert problems[0].endswith("is used instead.")
