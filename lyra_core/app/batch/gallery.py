# SPDX-License-Identifier: Apache-2.0
"""`index.html`: every scene of a batch with its picture, its verdict and its warnings; plain HTML, no scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lyra_core.app.batch.store import REPORT_FOLDER, SCENE_FILE, Store
from lyra_core.app.batch.wishes import Wish
from lyra_core.files import replacing

GALLERY = "index.html"
_PREVIEW = f"{Path(SCENE_FILE).stem}.preview.png"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; color: #222; }
h1 { font-size: 1.4rem; }
.scenes { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }
article { border: 1px solid #ddd; border-radius: .5rem; overflow: hidden; }
article img { display: block; width: 100%; height: 13rem; object-fit: cover; object-position: 0 0; background: #eee; }
article div { padding: .6rem .8rem; } h2 { font-size: 1rem; margin: 0 0 .3rem; }
.pass { color: #1a7f37; } .warning { color: #9a6700; } .fail { color: #b42318; } small { color: #666; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .25rem .8rem .25rem 0; vertical-align: top; }
"""


def write_gallery(store: Store, wishes: Sequence[Wish], missing: Mapping[str, str], left: int) -> None:
    """Writes the page.

    Args:
        store: where the scenes are.
        wishes: those that are finished.
        missing: reasons by name, of those that could not be made.
        left: how many nobody has got to yet.
    """
    cards = "\n".join(_card(wish, store.about(wish)) for wish in wishes)
    rows = "\n".join(f"<tr><td>{escape(name)}</td><td>{escape(reason)}</td></tr>" for name, reason in missing.items())
    table = f"<h2>Not made</h2><table><tr><th>scene</th><th>why</th></tr>{rows}</table>" if missing else ""
    state = (
        f"{len(wishes)} scenes"
        + (f", {len(missing)} not made" if missing else "")
        + (f", {left} still to do" if left else "")
    )
    page = (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Scenes</title><style>{_STYLE}</style>"
        f"</head><body><h1>{state}</h1><div class='scenes'>{cards}</div>{table}</body></html>\n"
    )
    with replacing(store.root / GALLERY) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _card(wish: Wish, about: Mapping[str, Any]) -> str:
    folder = f"scenes/{quote(wish.name)}"
    verdict = about.get("verdict")
    judged = (
        f"<a class='{_class(verdict)}' href='{folder}/{REPORT_FOLDER}/report.html'>{escape(str(verdict))}</a> · "
        if verdict else ""
    )  # fmt: skip
    notes = "".join(f"<br><small>{escape(str(line))}</small>" for line in about.get("warnings", []))
    return (
        f"<article><a href='{folder}/{_PREVIEW}'><img loading='lazy' src='{folder}/{_PREVIEW}' "
        f"alt='{escape(wish.title, quote=True)}'></a><div><h2>{escape(wish.title)}</h2>"
        f"{judged}<a href='{folder}/{SCENE_FILE}'>{SCENE_FILE}</a> · "
        f"<small>seed {wish.seed} · {about['gaussians']:,} Gaussians · {about['seconds']:g} s</small>{notes}"
        "</div></article>"
    )


def _class(verdict: object) -> str:
    return verdict if verdict in ("pass", "warning", "fail") else "none"
