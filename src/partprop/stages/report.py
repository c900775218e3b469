"""Show what the other stages measured on one page."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.base.paths import DAVIS, REPORTS, RESULTS
from partprop.data.video import open_sequences
from partprop.evaluation.folders import find_results
from partprop.report import figures
from partprop.report.figures import Chart
from partprop.report.film import film
from partprop.report.inputs import Measurements, read_measurements
from partprop.report.page import Strip, methods, render_page, shown_sequences
from partprop.report.published import average_precision_caveat, compare_with_published
from partprop.report.stills import film_strip

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run

PAGE = REPORTS / "index.html"


def run(params: "Params", log: "Run") -> None:
    """Write reports/index.html and log it with its figures.

    Raises:
        UserError: a file of reports/, results/ or data/ that the page shows is missing or unreadable.
    """
    measurements = read_measurements(REPORTS)
    davis = params.data.davis
    strips = draw_strips(measurements, davis.year)
    charts = draw_charts(measurements)
    page = render_page(
        measurements,
        charts,
        strips,
        compare_with_published(davis.source, davis.year, measurements.metrics["ours"]["sequences"]),
        average_precision_caveat(params.data.coco.source),
    )
    with atomic_write(PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    log.artifact(PAGE)
    _log_figures(charts, strips, log)


def draw_charts(measurements: Measurements) -> dict[str, Chart]:
    """Draw the charts over all sequences; returned by name."""
    blocks: Mapping[str, Mapping[str, Any]] = methods(measurements.metrics)
    charts = [
        figures.over_time(measurements.j_by_position, "J"),
        figures.over_time(measurements.f_by_position, "F"),
        figures.success(measurements.success, blocks),
        figures.precision(measurements.precision, blocks),
        figures.losses("pretrain_losses", "Losses of FPN pre-training by step", measurements.pretrain_curves),
        figures.losses("tracking_losses", "Losses of tracking training by step", measurements.tracking_curves),
        figures.validation(measurements.validation_curves),
    ]
    return {chart.name: chart for chart in charts}


def draw_strips(measurements: Measurements, year: int) -> list[Strip]:
    """Draw every sequence: stills and J by frame, and a film of the best, the median and the worst.

    Args:
        measurements: their metrics name the sequences.
        year: 2016 draws all true objects of a video as one; 2017 keeps their ids.

    Raises:
        UserError: a sequence has no results, or one of its files is missing or unreadable.
    """
    shown = shown_sequences(measurements.metrics)
    results = find_results(RESULTS)
    if absent := [name for _, name in shown if name not in results]:
        raise UserError(f"{RESULTS}: lacks {', '.join(absent)}; run the infer stages again")
    videos = {video.name: video for video in open_sequences(DAVIS, [name for _, name in shown], year)}
    return [
        Strip(
            role=role,
            sequence=name,
            stills=film_strip(videos[name], results[name]),
            chart=figures.sequence_over_time(measurements.j_over_time, name),
            film=film(videos[name], results[name]) if role else None,
        )
        for role, name in shown
    ]


def _log_figures(charts: Mapping[str, Chart], strips: list[Strip], log: "Run") -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "figures"
        folder.mkdir()
        for chart in [*charts.values(), *(strip.chart for strip in strips)]:
            (folder / f"{chart.name}.svg").write_text(chart.light, encoding="utf-8")
        for strip in strips:
            for still in strip.stills:
                (folder / f"{strip.sequence}_{still.frame}.jpg").write_bytes(still.jpeg)
            if strip.film is not None:
                (folder / f"{strip.sequence}.mp4").write_bytes(strip.film)
        log.artifact(folder)
