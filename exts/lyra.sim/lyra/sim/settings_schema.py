# SPDX-License-Identifier: Apache-2.0
"""Settings of the extension: where each one lives in Kit's settings, its default and its meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

_EXTENSION = "/exts/lyra.sim/"
_PERSISTENT = "/persistent/exts/lyra.sim/"

ENCODINGS = ("auto", "particlefield", "nurec")


@dataclass(frozen=True)
class Setting:
    """One setting: its path in Kit, its field in `Settings`, its default and what it does."""

    path: str
    field: str
    default: str | float | bool
    doc: str


@dataclass(frozen=True)
class Settings:
    """Typed values of all settings; `SETTINGS` says what each one does."""

    repo_root: str = ""
    worker_python: str = ""
    output_dir: str = ""
    device: str = ""
    encoding: str = "auto"
    heartbeat_timeout_s: float = 60.0
    poll_hz: float = 10.0
    show_on_startup: bool = False
    keep_models_loaded: bool = False
    last_input_dir: str = ""

    @classmethod
    def load(cls, get: Callable[[str], object]) -> tuple[Settings, list[str]]:
        """Settings by way of `get(path)`, which returns `None` for what is not set.

        Returns the settings and one text for each value that cannot be used; its default stands in for it.
        """
        values: dict[str, str | float | bool] = {}
        problems = []
        for setting in SETTINGS:
            try:
                values[setting.field] = _checked(setting, get(setting.path))
            except ValueError as error:
                values[setting.field] = setting.default
                problems.append(f"Setting {setting.path} {error}. {setting.default!r} is used instead.")
        return cls(**values), problems  # type: ignore[arg-type]


_DEFAULTS = asdict(Settings())


def _setting(folder: str, field: str, doc: str) -> Setting:
    return Setting(folder + field, field, _DEFAULTS[field], doc)


SETTINGS: tuple[Setting, ...] = (
    _setting(_EXTENSION, "show_on_startup", "Open the window when the extension starts."),
    _setting(
        _EXTENSION, "repo_root", "Repository checkout that holds usd_export; empty: two folders above the extension."
    ),
    _setting(_EXTENSION, "encoding", "How Gaussians are put on a stage: auto, particlefield or nurec."),
    _setting(_EXTENSION, "heartbeat_timeout_s", "Seconds without a message after which the worker counts as hanging."),
    _setting(_EXTENSION, "poll_hz", "How often the window looks for messages of the worker [1/s]."),
    _setting(_PERSISTENT, "worker_python", "Python interpreter that has lyra-sim installed; empty: look for it."),
    _setting(_PERSISTENT, "output_dir", "Folder for generated scenes; empty: lyra in Kit's cache folder."),
    _setting(_PERSISTENT, "device", "cpu, or the number of a graphics card; empty: what the worker finds."),
    _setting(_PERSISTENT, "keep_models_loaded", "Keep the worker and its models in memory between scenes."),
    _setting(_PERSISTENT, "last_input_dir", "Where the file dialog opens."),
)

_RANGES: Mapping[str, tuple[float, float]] = {"heartbeat_timeout_s": (1.0, 86_400.0), "poll_hz": (0.1, 240.0)}


def _checked(setting: Setting, value: object) -> str | float | bool:
    """The value in the type of its default; ValueError says what it should be."""
    if value is None:
        return setting.default
    if isinstance(setting.default, bool):
        return _checked_switch(value)
    if isinstance(setting.default, float):
        return _checked_number(value, *_RANGES[setting.field])
    if not isinstance(value, str):
        raise ValueError(f"should be text, not {value!r}")
    text = value.strip()
    if setting.field == "encoding" and text not in ENCODINGS:
        raise ValueError(f"should be one of {', '.join(ENCODINGS)}, not {text!r}")
    return text


def _checked_switch(value: object) -> bool:
    # Kit turns a bare `--/exts/…/show_on_startup=1` into a number.
    if value in (0, 1) and isinstance(value, int):
        return bool(value)
    raise ValueError(f"should be true or false, not {value!r}")


def _checked_number(value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"should be a number, not {value!r}")
    if not low <= value <= high:  # neither is NaN
        raise ValueError(f"should be from {low:g} to {high:g}, not {str(value)[:20]}")
    return float(value)
