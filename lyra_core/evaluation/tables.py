# SPDX-License-Identifier: Apache-2.0
"""Reports as text for a person."""

from __future__ import annotations

from typing import Any

from lyra_core.evaluation.scores import DIRECTIONS

_SYNTHETIC_ROWS = ("exact_depth", "net_depth", "untrained", "swapped", "lift", "lift_ewa")
_HEADINGS = {"psnr": "PSNR dB", "ssim": "SSIM", "lpips": "LPIPS", "abs_rel": "AbsRel", "delta_1": "delta1"}
_FORMATS = {"psnr": "9.2f", "ssim": "8.3f", "lpips": "8.3f", "abs_rel": "8.3f", "delta_1": "8.3f"}
_IMAGE_METRICS = ("psnr", "ssim", "lpips")


def synthetic_table(report: dict[str, Any]) -> str:
    """The report of `evaluate_synthetic`."""
    metrics = [metric for metric in _IMAGE_METRICS if f"{metric}_exact_depth" in report]
    lines = [
        f"{report['model']}, suite {report['suite']}: {report['worlds']} worlds from seed {report['first_seed']}, "
        f"projection {report['projection']}",
        _heading("row", metrics, 14),
    ]
    for row in _SYNTHETIC_ROWS:
        scores = {metric: report.get(f"{metric}_{row}") for metric in metrics}
        if scores["psnr"] is not None:
            lines.append(_row(row, scores, metrics, 14))
    if report["swap_cost"] is not None:
        lines.append(f"another world's latents cost {report['swap_cost']:.2f} dB")
    lines.append(
        f"depth network AbsRel {report['depth_abs_rel']:.3f}, rendered depth error {report['depth_rendered']:.4f}, "
        f"{report['gaussians']:,} Gaussians, {report['seconds']:.1f} s a world"
    )
    return "\n".join(lines + _missing(report))


def clips_table(report: dict[str, Any]) -> str:
    """The report of `evaluate_data`: ours, every clip, and the numbers of papers."""
    means = {metric: row["mean"] for metric, row in report["metrics"].items()}
    metrics = [metric for metric in DIRECTIONS if metric in means or metric in _IMAGE_METRICS]
    protocol, views = report["protocol"], report["metrics"]["psnr"]["views"]
    lines = [
        f"{report['model']}, suite {report['suite']} ({report['data']}): {len(report['clips'])} clips, {views} views",
        f"from {report['source']}; paths {protocol['paths']}, projection {report['projection']}, background "
        f"{report['background']}; frame: {report['alignment']['frame']}, scale: "
        f"{', '.join(report['alignment']['scale'])}",
        _heading("clip", metrics),
        *(_row(row["clip"], row, metrics) for row in report["clips"]),
        _row(f"{report['model']} (mean of views)", means, metrics),
        *(_row(row["method"], row["scores"], metrics, mark=row["status"]) for row in report["published"]),
    ]
    sources = dict.fromkeys(row["source"] for row in report["published"])
    return "\n".join([*lines, *_missing(report), *(f"published: {source}" for source in sources)])


def ablations_table(report: dict[str, Any]) -> str:
    """The report of `ablation_report`."""
    lines = [
        f"{report['finished']} of {report['planned']} trainings, {report['steps']} steps each, {report['worlds']} "
        f"worlds; scored on {report['heldout']} others. Mean and spread over seeds; perceptual: {report['perceptual']}",
    ]
    for anchors, rows in report["tables"].items():
        lines += [
            f"anchors {anchors}: PSNR against the teacher's frames and unseen true views, distance to the first row",
            f"{'row':<32}{'seeds':>6}{'teacher dB':>16}{'truth dB':>16}{'perceptual':>12}{'delta dB':>16}{'paper':>8}",
        ]
        lines += [_ablation_row(row) for row in rows]
    return "\n".join([*lines, *report.get("sheets", [])])


def _ablation_row(row: dict[str, Any]) -> str:
    teacher, truth = row["figures"]["teacher"], row["figures"]["truth"]
    perceptual = next(teacher[metric]["mean"] for metric in ("lpips", "f_lpips") if metric in teacher)
    published = "" if row["published_delta"] is None else f"{row['published_delta']:+.2f}"
    columns = f"{_spread(teacher['psnr']):>16}{_spread(truth['psnr']):>16}{perceptual:>12.3f}"
    delta = f"{_spread(row['delta'], '+'):>16}{published:>8}"
    return f"{row['row'][:31]:<32}{row['seeds']:>6}{columns}{delta}  {row['verdict']}"


def _spread(value: dict[str, Any] | None, sign: str = "") -> str:
    """Mean and spread; a single seed has none."""
    if value is None:
        return ""
    return f"{value['mean']:{sign}.2f}" + ("" if value["std"] is None else f" +- {value['std']:.2f}")


def ceiling_table(report: dict[str, Any]) -> str:
    """The report of `evaluate_ceiling`."""
    lines = [
        f"{report['model']}, suite ceiling: {report['worlds']} worlds from seed {report['first_seed']}, holes are "
        f"{100 * report['hole_share']:.1f} % of the pixels; feature distance: {report['perceptual']}",
        f"{'holes':<24}{'PSNR dB':>9}{'feature':>9}",
    ]
    names = {"fill": "deterministic fill", "tokenizer": "truth, encoded, decoded"}
    lines += [
        f"{text:<24}{report[f'hole_psnr_{row}']:9.2f}{report[f'feature_{row}']:9.3f}" for row, text in names.items()
    ]
    verdict = "a diffusion teacher is worth training" if report["worth_training"] else "the tokenizer comes first"
    return "\n".join([*lines, f"the tokenizer is {report['gain']:+.2f} dB from the fill: {verdict}"])


def published_table(report: dict[str, Any]) -> str:
    """All numbers of papers."""
    lines = []
    for table in report["tables"]:
        lines += [f"{table['title']} ({table['status']})", f"  {table['source']}", f"  {table['note']}"]
        lines += [f"  one transcription only: {item}" for item in table["single"]]
        for suite in table["suites"]:
            lines.append(_heading(f"  {suite}", _IMAGE_METRICS))
            lines += [_row(f"  {row['method']}", row[suite], _IMAGE_METRICS) for row in table["rows"] if row[suite]]
        lines.append("")
    return "\n".join([*lines, *(f"left out: {row['what']}: {row['why']}" for row in report["left_out"])])


def _heading(first: str, metrics: Any, width: int = 36) -> str:
    columns = (f"{_HEADINGS[metric]:>{_FORMATS[metric].split('.')[0]}}" for metric in metrics)
    return f"{first:<{width}}" + "".join(columns)


def _row(name: str, scores: dict[str, Any] | str, metrics: Any, width: int = 36, mark: str = "") -> str:
    """One line; a metric without a number shows as a dash, a remark stands for all of them."""
    label = f"{name[: width - 1]:<{width}}"
    if isinstance(scores, str):
        return f"{label}{scores:>9}  {mark}".rstrip()
    cells = []
    for metric in metrics:
        value, layout = scores.get(metric), _FORMATS[metric]
        cells.append(f"{'-':>{layout.split('.')[0]}}" if value is None else f"{value:{layout}}")
    return f"{label}{''.join(cells)}  {mark}".rstrip()


def _missing(report: dict[str, Any]) -> list[str]:
    return [f"missing: {metric}: {reason}" for metric, reason in report["missing"].items()]
