# SPDX-License-Identifier: Apache-2.0
"""A report card as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from usd_export.report_card.judgement import Figure, Judgement, Picture, Verdict
from usd_export.rules.findings import Finding

_WORDS: dict[Verdict, str] = {"pass": "Pass", "warning": "Warning", "fail": "Fail", "not run": "Not run"}
_HEADLINES: dict[Verdict, str] = {
    "pass": "Every judgement passes.",
    "warning": "Usable, but something deserves a look.",
    "fail": "Not fit for simulation as it is.",
    "not run": "Nothing wrong was found, but not everything was looked at.",
}
_STYLE = """
:root{--ink:#1b1f27;--soft:#5b6472;--line:#dfe3e9;--paper:#fff;--back:#f4f5f8;
--pass:#1c7c4d;--warning:#9a6700;--fail:#b3261e;--not-run:#5b6472}
@media (prefers-color-scheme:dark){:root{--ink:#e7eaf0;--soft:#9aa4b2;--line:#303643;--paper:#1b1f27;--back:#12151b;
--pass:#4cc38a;--warning:#e3b341;--fail:#ff7b72;--not-run:#9aa4b2}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:19px;margin:0}
p{margin:4px 0}
.soft{color:var(--soft)}
header,section{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:24px;margin-bottom:20px}
.head{display:flex;gap:16px;align-items:center;justify-content:space-between}
.badge{flex:none;border:1.5px solid;border-radius:999px;padding:2px 14px;font-weight:600;font-size:14px}
.pass{color:var(--pass)}.warning{color:var(--warning)}.fail{color:var(--fail)}.not-run{color:var(--not-run)}
nav{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:10px;margin-top:20px}
nav a{display:flex;justify-content:space-between;gap:10px;padding:8px 12px;border:1px solid var(--line);
border-radius:8px;color:inherit;text-decoration:none;font-size:14px}
nav b{white-space:nowrap}
table{border-collapse:collapse;width:100%;margin-top:14px;font-size:14px}
th,td{text-align:left;padding:6px 12px 6px 0;border-top:1px solid var(--line);vertical-align:top}
th{font-weight:500}
td.number{font-variant-numeric:tabular-nums;white-space:nowrap}
ul{list-style:none;margin:14px 0 0;padding:0;font-size:14px}
li{padding:6px 0 6px 12px;border-left:3px solid;margin-bottom:6px}
li span{color:var(--ink);overflow-wrap:anywhere}
code{font:12px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace;color:var(--soft);overflow-wrap:anywhere}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:16px;margin-top:18px}
figure{margin:0}
figure img{display:block;width:100%;max-height:680px;object-fit:contain;border-radius:8px;background:#1c1e26;
image-rendering:pixelated}
figcaption{font-size:13px;color:var(--soft);margin-top:6px}
@media print{body{background:#fff}header,section{break-inside:avoid}}
"""


def page(file: str, verdict: Verdict, judgements: Sequence[Judgement]) -> str:
    """The whole page.

    Args:
        file: Name of the scene.
        verdict: Of the card.
        judgements: Its chapters.
    """
    links = "".join(
        f'<a href="#{judgement.name}"><span>{escape(judgement.title)}</span>{_word(judgement.verdict)}</a>'
        for judgement in judgements
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(file)}: report card</title><style>{_STYLE}</style></head><body><main>"
        f'<header><div class="head"><div><h1>{escape(file)}</h1>'
        f'<p class="soft">{_HEADLINES[verdict]}</p></div>{_badge(verdict)}</div><nav>{links}</nav></header>'
        f"{''.join(_chapter(judgement) for judgement in judgements)}</main></body></html>\n"
    )


def _class(verdict: Verdict) -> str:
    return verdict.replace(" ", "-")


def _badge(verdict: Verdict) -> str:
    return f'<span class="badge {_class(verdict)}">{_WORDS[verdict]}</span>'


def _word(verdict: Verdict) -> str:
    return f'<b class="{_class(verdict)}">{_WORDS[verdict]}</b>'


def _chapter(judgement: Judgement) -> str:
    return (
        f'<section id="{judgement.name}"><div class="head"><h2>{escape(judgement.title)}</h2>'
        f'{_badge(judgement.verdict)}</div><p class="soft">{escape(judgement.summary)}</p>'
        f"{_findings(judgement.findings)}{_figures(judgement.figures)}{_pictures(judgement.pictures)}</section>"
    )


def _findings(findings: Sequence[Finding]) -> str:
    items = "".join(
        f'<li class="{"fail" if finding.severity == "error" else "warning"}"><span>{escape(finding.message)}</span>'
        f"<br><code>{escape(finding.rule)} · {escape(finding.where)}</code></li>"
        for finding in findings
    )
    return f"<ul>{items}</ul>" if items else ""


def _figures(figures: Sequence[Figure]) -> str:
    rows = "".join(
        f'<tr><th>{escape(figure.name)}</th><td class="number">{escape(_number(figure))}</td>'
        f'<td class="number soft">{escape(_bar(figure))}</td></tr>'
        for figure in figures
    )
    return f"<table>{rows}</table>" if rows else ""


def _number(figure: Figure) -> str:
    value = f"{figure.value:,}" if isinstance(figure.value, int | float) else figure.value
    return f"{value} {figure.unit}".strip()


def _bar(figure: Figure) -> str:
    return f"should be {figure.bar} {figure.unit}".strip() if figure.bar else ""


def _pictures(pictures: Sequence[Picture]) -> str:
    items = "".join(
        f'<figure><img alt="{escape(picture.caption)}" '
        f'src="data:image/png;base64,{base64.b64encode(picture.png).decode("ascii")}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    return f'<div class="pictures">{items}</div>' if items else ""
