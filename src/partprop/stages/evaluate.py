"""Score the results and the baselines on the validation videos."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from partprop.base import paths
from partprop.base.files import write_csv, write_json
from partprop.data.video import open_davis
from partprop.evaluation.folders import find_results, object_rows, require_exactly
from partprop.evaluation.validation_runs import ValidationRun, record_run
from partprop.evaluation.vot.protocol import accuracy, read_supervised, robustness
from partprop.evaluation.workers import score_folders
from partprop.metrics.boxes import PRECISION_THRESHOLDS, SUCCESS_THRESHOLDS
from partprop.metrics.schema import BoxesBlock, Metrics
from partprop.metrics.sequences import SequenceScores
from partprop.metrics.summary import POSITIONS, box_curves, curves_over_time, summarise

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run

BASELINES = ("first_mask", "flow", "label_propagation")
RECORDED = (
    *("preset", "seed", "data", "backbone", "model", "pretrain_fpn"),
    *("train_tracking", "segmentation", "infer", "baselines"),
)
"""Keys of params.yaml that decide the results, in the order in which metrics.json lists them."""

Scores = Mapping[str, list[SequenceScores]]
"""The scores of each sequence, by method."""


def run(params: Params, log: Run) -> None:
    """Write reports/metrics.json, reports/per_sequence.csv and reports/plots/; record runs on DAVIS.

    Raises:
        UserError: the results are not exactly those of the validation split, or a file is missing or corrupt.
    """
    davis = params.data.davis
    videos = open_davis(paths.DAVIS, "val", davis.year)
    names = [video.name for video in videos]
    roots = {"ours": paths.RESULTS, **{name: paths.BASELINES / name for name in BASELINES}}
    found = {method: find_results(root) for method, root in roots.items()}
    for method, root in roots.items():
        require_exactly(found[method], names, root)

    pairs = [(video, folders[video.name]) for folders in found.values() for video in videos]
    in_order = iter(score_folders(pairs, jobs=os.cpu_count() or 1))
    scores = {method: [next(in_order) for _ in videos] for method in found}
    metrics = {method: summarise(scores[method]) for method in scores}
    _add_vot_measures(metrics["ours"]["boxes"], found["ours"].values())

    write_json(
        paths.REPORTS / "metrics.json",
        {
            "preset": params.preset,
            "dataset": "synthetic" if davis.source == "synthetic" else f"DAVIS {davis.year}",
            "ours": metrics["ours"],
            "baselines": {name: metrics[name] for name in BASELINES},
            # A list, since `dvc metrics` shows every value of a mapping beside the scores.
            "parameters": recorded_parameters(params),
        },
    )
    rows = [(method, *row) for method in metrics for row in object_rows(metrics[method])]
    write_csv(paths.REPORTS / "per_sequence.csv", ("method", "sequence", "object", "J&F", "J", "F"), rows)
    _write_plots(scores, paths.REPORTS / "plots")
    log.metrics(_logged(metrics))
    record_run(_validation_run(params, metrics["ours"]), davis.source, davis.year, names)


def recorded_parameters(params: Params) -> list[str]:
    """The parameters behind the results, one `section.key=value` each, as `dvc exp run --set-param` takes them."""
    return [
        f"{key}={_parameter_text(value)}" for name in RECORDED for key, value in _leaves(name, attrgetter(name)(params))
    ]


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a section, in the order of its fields."""
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    if not isinstance(value, dict):
        yield key, value
        return
    for name, inner in value.items():
        yield from _leaves(f"{key}.{name}", inner)


def _parameter_text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_parameter_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _validation_run(params: Params, ours: Metrics) -> ValidationRun:
    return ValidationRun(
        preset=params.preset,
        seed=params.seed,
        threads=params.infer.threads,
        j_and_f=ours["J&F"],
        j=ours["J"]["mean"],
        f=ours["F"]["mean"],
        low=ours["J&F_interval"]["low"],
        high=ours["J&F_interval"]["high"],
        command="partprop stage evaluate",
    )


def _add_vot_measures(boxes: BoxesBlock, folders: Iterable[Path]) -> None:
    """Add VOT's accuracy and robustness, from the supervised.csv that inference wrote to each folder of results."""
    runs = [run for folder in folders for run in read_supervised(folder / "supervised.csv").values()]
    boxes["vot_failures"] = robustness(runs)
    if (mean := accuracy(runs)) is not None:
        boxes["vot_accuracy"] = mean


def _write_plots(scores: Scores, folder: Path) -> None:
    write_csv(folder / "j_over_time.csv", ("method", "sequence", "frame", "J", "F"), _over_time(scores))
    success, precision = _by_method(scores, box_curves)
    _write_curves(folder / "success.csv", "threshold", SUCCESS_THRESHOLDS, success)
    _write_curves(folder / "precision.csv", "threshold", PRECISION_THRESHOLDS, precision)
    j, f = _by_method(scores, curves_over_time)
    _write_curves(folder / "j_by_position.csv", "position", 100 * POSITIONS, j)
    _write_curves(folder / "f_by_position.csv", "position", 100 * POSITIONS, f)


Curves = dict[str, np.ndarray]
"""By method."""


def _by_method(
    scores: Scores, curves: Callable[[list[SequenceScores]], tuple[np.ndarray, np.ndarray]]
) -> tuple[Curves, Curves]:
    found = {method: curves(sequences) for method, sequences in scores.items()}
    return {method: pair[0] for method, pair in found.items()}, {method: pair[1] for method, pair in found.items()}


def _write_curves(path: Path, x_name: str, x: np.ndarray, curves: Curves) -> None:
    """Write one column per method, as DVC's plots need them."""
    rows = zip(x.tolist(), *(curve.tolist() for curve in curves.values()), strict=True)
    write_csv(path, (x_name, *curves), rows)


def _over_time(scores: Scores) -> Iterator[tuple[str, str, str, float, float]]:
    """Rows (method, sequence, frame, J, F); J and F are means over the objects."""
    for method, sequences in scores.items():
        for sequence in sequences:
            j_means, f_means = np.nanmean(sequence.j, axis=0), np.nanmean(sequence.f, axis=0)
            for frame, j, f in zip(sequence.frames, j_means, f_means, strict=True):
                yield method, sequence.name, frame, float(j), float(f)


def _logged(metrics: Mapping[str, Metrics]) -> dict[str, float]:
    """The summary of each method for MLflow, by names such as `ours/J_mean`."""
    values = {}
    for method, summary in metrics.items():
        values[f"{method}/J&F"] = summary["J&F"]
        for measure, block in (("J", summary["J"]), ("F", summary["F"])):
            values[f"{method}/{measure}_mean"] = block["mean"]
            values[f"{method}/{measure}_recall"] = block["recall"]
            values[f"{method}/{measure}_decay"] = block["decay"]
        boxes = cast(dict[str, float], summary["boxes"])
        values |= {f"{method}/{measure}": value for measure, value in boxes.items()}
    return values
