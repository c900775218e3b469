"""The report's charts as SVG, each in a light and a dark version."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from partprop.report.inputs import METHODS

WIDTH = 4.6  # inches: fits a legend of four names, and is readable on a phone
HEIGHT = 2.9
FROM_0_TO_1 = (0, 1.02)  # limits that show a line at 1 in its full width


@dataclass(frozen=True)
class Theme:
    """Colours of a chart for a light or a dark page. The line colours are Okabe and Ito's colour-blind-safe palette."""

    text: str
    grid: str
    lines: tuple[str, ...]


LIGHT = Theme("#3d4451", "#dfe2e8", ("#0072b2", "#d55e00", "#009e73", "#7d8590", "#cc79a7", "#e69f00", "#56b4e9"))
DARK = Theme("#b9c0cc", "#343b47", ("#56b4e9", "#e8803a", "#2fc79b", "#8d96a3", "#dd9cc0", "#f0b429", "#3f8fd0"))
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (3, 1, 1, 1)))


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        name: file name without suffix.
        alt: alternative text.
        light: SVG text for a light page.
        dark: SVG text for a dark page.
    """

    name: str
    alt: str
    light: str
    dark: str


def losses(name: str, title: str, curves: pd.DataFrame) -> Chart:
    """Draw training losses by step.

    Args:
        name: of the chart.
        title: alternative text.
        curves: columns step, optionally lr, and one per loss. Curves of many points are also drawn smoothed.
    """
    window = max(1, len(curves) // 25)

    def draw(axes: Axes, theme: Theme) -> None:
        for index, column in enumerate(curves.columns.drop(["step", "lr"], errors="ignore")):
            colour = theme.lines[index % len(theme.lines)]
            smooth = curves[column].rolling(window, center=True, min_periods=1).mean()
            axes.plot(curves["step"], smooth, color=colour, linestyle=_dash(index), label=column.replace("_", " "))
            if window > 1:
                axes.plot(curves["step"], curves[column], color=colour, alpha=0.25, linewidth=0.6)
        axes.set(xlabel="step", ylabel="loss")
        axes.set_ylim(bottom=0)
        if curves.empty:
            axes.text(0.5, 0.5, "no steps", color=theme.text, ha="center", transform=axes.transAxes)

    return _chart(name, title, draw)


def validation(curves: pd.DataFrame) -> Chart:
    """Draw J&F, J, F and the box measures on the held-out sequences by training step."""
    labels = {
        "J&F": "J&F",
        "J": "J",
        "F": "F",
        "success_auc": "box success AUC",
        "precision_20px": "box precision at 20 px",
    }

    def draw(axes: Axes, theme: Theme) -> None:
        shown = [column for column in labels if column in curves.columns]
        for index, column in enumerate(shown):
            axes.plot(
                curves["step"],
                curves[column],
                color=theme.lines[index],
                linestyle=_dash(index),
                marker="o",
                markersize=3,
                label=labels[column],
            )
        axes.set(xlabel="step", ylim=FROM_0_TO_1)

    return _chart("validation", "Scores on the first frames of the held-out sequences by training step", draw)


def over_time(curves: pd.DataFrame, measure: str) -> Chart:
    """Draw the mean of `measure` (J or F) over the sequences by position in the video, one line per method."""

    def draw(axes: Axes, theme: Theme) -> None:
        for index, (method, label) in enumerate(METHODS.items()):
            if method in curves.columns:
                style = {"color": theme.lines[index], "linestyle": _dash(index), "label": label}
                axes.plot(curves["position"], curves[method], **style)
        axes.set(
            xlabel="position in the video, %",
            ylabel=f"{measure}, mean of the sequences",
            ylim=FROM_0_TO_1,
            xlim=(0, 100),
        )

    return _chart(f"{measure.lower()}_over_time", f"{measure} by position in the video and method", draw)


def sequence_over_time(frames: pd.DataFrame, sequence: str) -> Chart:
    """Draw J by frame in one sequence, one line per method.

    Args:
        frames: columns method, sequence, frame, J.
        sequence: its name.
    """
    rows = frames[frames["sequence"] == sequence]

    def draw(axes: Axes, theme: Theme) -> None:
        for index, (method, label) in enumerate(METHODS.items()):
            js = rows.loc[rows["method"] == method, "J"]
            positions = range(1, len(js) + 1)  # frame names may have gaps or not be numbers
            axes.plot(positions, js, color=theme.lines[index], linestyle=_dash(index), label=label)
        axes.set(xlabel="frames since the first", ylabel="J", ylim=FROM_0_TO_1)

    return _chart(f"j_{sequence}", f"J by frame in {sequence}, by method", draw, height=2.4)


def success(curves: pd.DataFrame, metrics: Mapping[str, Mapping[str, Any]]) -> Chart:
    """Draw OTB's success plot: the share of frames in which the overlap with the true box exceeds a threshold.

    Args:
        curves: columns threshold and one per method.
        metrics: blocks of metrics.json by method, for the AUC in the legend.
    """

    def draw(axes: Axes, theme: Theme) -> None:
        _threshold_lines(axes, theme, curves, metrics, "success_auc")
        axes.set(xlabel="overlap threshold (IoU)", ylabel="success", xlim=(0, 1), ylim=FROM_0_TO_1)

    return _chart("success", "Success of the boxes by overlap threshold and method", draw)


def precision(curves: pd.DataFrame, metrics: Mapping[str, Mapping[str, Any]]) -> Chart:
    """Draw OTB's precision plot: the share of frames in which the centre error is at most a threshold.

    Args:
        curves: columns threshold (pixels) and one per method.
        metrics: blocks of metrics.json by method, for the precision at 20 pixels in the legend.
    """

    def draw(axes: Axes, theme: Theme) -> None:
        _threshold_lines(axes, theme, curves, metrics, "precision_20px")
        axes.axvline(20, color=theme.grid, linewidth=1)
        axes.set(xlabel="distance threshold, pixels", ylabel="precision", ylim=FROM_0_TO_1)
        axes.set_xlim(left=0)

    return _chart("precision", "Precision of the boxes by distance threshold and method", draw)


def _threshold_lines(
    axes: Axes,
    theme: Theme,
    curves: pd.DataFrame,
    metrics: Mapping[str, Mapping[str, Any]],
    summary: str,
) -> None:
    for index, (method, label) in enumerate(METHODS.items()):
        if method not in curves.columns:
            continue
        value = metrics[method].get("boxes", {}).get(summary)
        label = label if value is None else f"{label} {value:.3f}"
        axes.plot(curves["threshold"], curves[method], color=theme.lines[index], linestyle=_dash(index), label=label)


def _chart(name: str, alt: str, draw: Callable[[Axes, Theme], None], height: float = HEIGHT) -> Chart:
    return Chart(name, alt, _svg(name, draw, LIGHT, height), _svg(name, draw, DARK, height))


def _svg(name: str, draw: Callable[[Axes, Theme], None], theme: Theme, height: float) -> str:
    """Draw on a transparent figure and return the SVG text. Equal data give byte-identical text."""
    style: Any = {
        "svg.hashsalt": name,
        "font.size": 9,
        "lines.linewidth": 1.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": theme.grid,
        "axes.labelcolor": theme.text,
        "axes.grid": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.6,
        "xtick.color": theme.text,
        "ytick.color": theme.text,
        "legend.labelcolor": theme.text,
        "legend.frameon": False,
        "legend.fontsize": 8,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes, theme)
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper left", ncols=2, handlelength=2.6, columnspacing=1.6)
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue()


def _dash(index: int) -> Any:
    return DASHES[index % len(DASHES)]
