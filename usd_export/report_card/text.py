# SPDX-License-Identifier: Apache-2.0
"""A report card as lines for a person, and as an exit code."""

from __future__ import annotations

from usd_export.report_card.card import ReportCard


def exit_code(card: ReportCard, *, strict: bool) -> int:
    """1 after an error; with `strict` also after anything else that is not a pass."""
    return int(card.verdict != "pass" if strict else card.severity == "error")


def show(card: ReportCard) -> str:
    """The card as lines for a person."""
    width = max(len(judgement.title) for judgement in card.judgements)
    lines = [
        f"{judgement.title:<{width}}  {judgement.verdict:<7}  {judgement.summary}" for judgement in card.judgements
    ]
    lines += [f"{found.severity}: {found.message} [{found.rule}] {found.where}" for found in card.findings]
    return "\n".join([*lines, f"{card.file}: {card.verdict}"])
