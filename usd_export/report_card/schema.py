# SPDX-License-Identifier: Apache-2.0
"""Judgement: does the file follow everybody's rules?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from usd_export.report_card.judgement import Figure, Judgement
from usd_export.rules.findings import Finding

_MAKERS = {"usd": "OpenUSD's validators", "nvidia": "NVIDIA's asset validator with VG.035", "lyra": "our own rules"}


def judge_schema(findings: Sequence[Finding]) -> Judgement:
    """Findings of `usd_export.rules.validation.check`, counted by who made the rule."""
    counts = Counter(finding.rule.split(":")[0] for finding in findings)
    figures = tuple(Figure(name, counts[prefix], "findings", "0") for prefix, name in _MAKERS.items())
    errors = sum(finding.severity == "error" for finding in findings)
    summary = (
        f"{errors} errors and {len(findings) - errors} warnings." if findings
        else "OpenUSD's, NVIDIA's and our own rules are all kept."
    )  # fmt: skip
    return Judgement("schema", "Schema", summary, figures=figures, findings=tuple(findings))
