"""reports/index.html: one page with everything it shows embedded, so that it opens offline."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2

from partprop.report.figures import Chart
from partprop.report.inputs import METHODS, Measurements
from partprop.report.published import PUBLISHED, Comparison
from partprop.report.stills import Still


@dataclass(frozen=True)
class Strip:
    """The pictures of one sequence.

    Attributes:
        role: best, median or worst; empty for the others.
        sequence: its name.
        stills: a few frames with the result drawn on them.
        chart: J by frame.
        film: MP4 of all frames with the result drawn on them; None without a role.
    """

    role: str
    sequence: str
    stills: list[Still]
    chart: Chart
    film: bytes | None


@dataclass(frozen=True)
class Row:
    """One sequence of the J&F table; scores in [0, 1].

    Attributes:
        sequence: its name.
        j, f: ours.
        j_and_f: by method; None where a method has no score.
        best: the method with the highest J&F.
        margin: our J&F minus that of the best baseline; None without baselines.
    """

    sequence: str
    j: float
    f: float
    j_and_f: Mapping[str, float | None]
    best: str
    margin: float | None


def shown_sequences(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List all sequences as (role, name): best, median and worst by our J&F, then the others by name."""
    scores = metrics["ours"]["sequences"]
    ranked = sorted(scores, key=lambda name: (-scores[name]["J&F"], name))
    picks = {"best": ranked[0], "worst": ranked[-1], "median": ranked[len(ranked) // 2]}
    roles = {name: role for role, name in reversed(picks.items())}  # one role per name, best before worst
    others = sorted(name for name in ranked if name not in roles)
    return [(roles[name], name) for name in ranked if name in roles] + [("", name) for name in others]


def methods(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The blocks of metrics.json by method, in the order of the page."""
    blocks = {"ours": metrics["ours"], **metrics["baselines"]}
    return {name: blocks[name] for name in METHODS if name in blocks}


def sequence_rows(metrics: Mapping[str, Any]) -> list[Row]:
    """The rows of the J&F table, one per sequence, by name."""
    blocks = methods(metrics)
    rows = []
    for name, ours in sorted(metrics["ours"]["sequences"].items()):
        scores = {method: block["sequences"].get(name, {}).get("J&F") for method, block in blocks.items()}
        measured = {method: score for method, score in scores.items() if score is not None}
        baselines = [score for method, score in measured.items() if method != "ours"]
        rows.append(
            Row(
                sequence=name,
                j=ours["J"],
                f=ours["F"],
                j_and_f=scores,
                best=max(measured, key=lambda method: measured[method]),
                margin=ours["J&F"] - max(baselines) if baselines else None,
            )
        )
    return rows


def render_page(
    measurements: Measurements,
    charts: Mapping[str, Chart],
    strips: list[Strip],
    comparison: Comparison,
    ap_caveat: str,
) -> str:
    """Render the page as HTML text.

    Args:
        measurements: the measurements of earlier stages.
        charts: by name: j_over_time, f_over_time, success, precision, pretrain_losses, tracking_losses, validation.
        strips: the sequences in the order of the page.
        comparison: whether our scores compare with the published ones.
        ap_caveat: how to read the AP of FPN pre-training.
    """
    metrics = measurements.metrics
    ours = metrics["ours"]
    baselines = {name: block["J&F"] for name, block in methods(metrics).items() if name != "ours"}
    strongest = max(baselines, key=lambda name: baselines[name], default=None)
    return (
        _environment()
        .get_template("page.html")
        .render(
            preset=metrics["preset"],
            dataset=metrics["dataset"],
            ours=ours,
            labels=METHODS,
            methods=methods(metrics),
            strongest=strongest,
            margin=None if strongest is None else ours["J&F"] - baselines[strongest],
            rows=sequence_rows(metrics),
            charts=charts,
            strips=strips,
            frame_scores=_frame_scores(measurements),
            pretrained=not measurements.pretrain_curves.empty,
            pretraining=flatten(measurements.pretrain_metrics),
            held_out=flatten(measurements.held_out),
            ablations=measurements.ablations.to_dict("records"),
            published=PUBLISHED,
            comparison=comparison,
            ap_caveat=ap_caveat,
            parameters=metrics["parameters"],
        )
    )


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings, without lists: {"box": {"AP": 0.3}} becomes {"box AP": 0.3}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            flat |= flatten(value, name)
        elif not isinstance(value, list):
            flat[name] = value
    return flat


def _frame_scores(measurements: Measurements) -> dict[tuple[str, str], float]:
    """Our J by (sequence, frame)."""
    frames = measurements.j_over_time
    ours = frames[frames["method"] == "ours"]
    return dict(zip(zip(ours["sequence"], ours["frame"], strict=True), ours["J"], strict=True))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("partprop.report", package_path=""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = _score
    environment.filters["signed"] = _signed
    environment.filters["value"] = _value
    environment.filters["svg_uri"] = lambda text: _data_uri(text.encode(), "image/svg+xml")
    environment.filters["jpeg_uri"] = lambda data: _data_uri(data, "image/jpeg")
    environment.filters["mp4_uri"] = lambda data: _data_uri(data, "video/mp4")
    return environment


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}".replace("-", "−")


def _value(value: Any) -> str:
    return _score(value) if value is None or isinstance(value, float) else str(value)


def _data_uri(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
