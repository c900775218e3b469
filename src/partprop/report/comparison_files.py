"""The files of `partprop compare`: numbers, J&F by sequence, and the frames that differ most."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from partprop.base.files import atomic_write, write_json
from partprop.data.images import read_rgb
from partprop.data.labels import read_labels
from partprop.data.video import FRAME_SUFFIXES
from partprop.evaluation.comparison import Comparison, Difference
from partprop.media.drawing import overlay
from partprop.report.figures import LIGHT

GREY = 128  # stands for a missing image


def write_comparison(comparison: Comparison, names: tuple[str, str], folder: Path) -> None:
    """Write compare.json, sequences.svg and, if the results differ, frames.png.

    Args:
        comparison: the comparison to show.
        names: names of the two results.
        folder: output folder; files of an earlier comparison are replaced.
    """
    gains = [
        {"sequence": frame.sequence.name, "frame": frame.frame, "J&F gain": frame.gain} for frame in comparison.frames
    ]
    write_json(
        folder / "compare.json",
        {
            "first": {"results": names[0], "J&F": asdict(comparison.first)},
            "second": {"results": names[1], "J&F": asdict(comparison.second)},
            "gain": asdict(comparison.gain),
            "sequences": {
                name: {"first": first, "second": second} for name, (first, second) in comparison.sequences.items()
            },
            "frames": gains,
        },
    )
    shown = (_printable(names[0]), _printable(names[1]))
    with rc_context({"text.parse_math": False}):  # names may contain $
        _save(_by_sequence(comparison, shown), folder / "sequences.svg")
        if comparison.frames:
            _save(_frames(comparison.frames, shown), folder / "frames.png")
    if not comparison.frames:
        (folder / "frames.png").unlink(missing_ok=True)  # of an earlier comparison


def _by_sequence(comparison: Comparison, names: tuple[str, str]) -> Figure:
    """Draw one line per sequence with a dot for each result, sorted by the gain."""
    rows = sorted(comparison.sequences.items(), key=lambda row: row[1][1] - row[1][0])
    positions = np.arange(len(rows))
    firsts, seconds = np.array([scores for _, scores in rows]).T
    figure = Figure(figsize=(7, 1.2 + 0.24 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.hlines(positions, firsts, seconds, color=LIGHT.grid, linewidth=3, zorder=1)
    axes.scatter(firsts, positions, s=24, color=LIGHT.lines[1], label=names[0], zorder=2)
    axes.scatter(seconds, positions, s=24, color=LIGHT.lines[0], label=names[1], zorder=3)
    axes.set_yticks(positions, [_printable(name) for name, _ in rows])
    axes.set(xlabel="J&F", xlim=(0, 1))
    axes.set_title(f"difference {comparison.gain}", fontsize=9)
    axes.grid(axis="x", color=LIGHT.grid)
    figure.legend(loc="outside upper left", frameon=False, fontsize=8)
    return figure


def _frames(frames: list[Difference], names: tuple[str, str]) -> Figure:
    """Draw one row per frame and one column per result: the mask tinted, the true contour in yellow."""
    figure = Figure(figsize=(9, 2.8 * len(frames)), layout="constrained")
    grid = figure.subplots(len(frames), 2, squeeze=False)
    for row, frame in zip(grid, frames, strict=True):
        index = frame.sequence.frame_names.index(frame.frame)
        truth = frame.sequence.labels(index)
        assert truth is not None  # only annotated frames are scored
        image, title = _image(frame, truth.shape), _printable(f"{frame.sequence.name} {frame.frame}")
        for axes, folder, name in zip(row, frame.folders, names, strict=True):
            axes.imshow(overlay(image, read_labels(folder / f"{frame.frame}.png"), truth, ()))
            axes.set_title(f"{title} · {name}", fontsize=8)
            axes.set_axis_off()
        row[1].set_title(f"{title} · {names[1]}: {frame.gain:+.3f}", fontsize=8)
    return figure


def _image(frame: Difference, shape: tuple[int, ...]) -> np.ndarray:
    """The image of a frame from the folder JPEGImages beside the annotations, as in DAVIS; grey if there is none."""
    mask = frame.sequence.masks[0]
    assert mask is not None
    for above in mask.parents[2:4]:
        for folder in (above / "JPEGImages" / "480p", above / "JPEGImages"):
            for suffix in FRAME_SUFFIXES:
                file = folder / frame.sequence.name / f"{frame.frame}{suffix}"
                if file.is_file():
                    return read_rgb(file)
    return np.full((*shape, 3), GREY, np.uint8)


def _printable(name: str) -> str:
    """A file name in which bytes that cannot be decoded are replaced by question marks."""
    return name.encode(errors="replace").decode()


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110)
