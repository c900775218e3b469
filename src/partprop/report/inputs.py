"""The measurements that the report shows, read from reports/."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from partprop.base.errors import UserError

METHODS = {
    "ours": "partprop (ours)",
    "label_propagation": "Label propagation",
    "flow": "Optical flow (DIS)",
    "first_mask": "First mask copied",
}
"""Name in the files → name on the page, in the order of the page."""
ABLATIONS = ["variant", "parameters", "J&F", "J", "F", "seconds_per_frame", "preset", "steps", "sequences", "commit"]
# Columns read as text: the commit 0123456 would otherwise become a number.
TEXTS = ("method", "sequence", "frame", "variant", "parameters", "preset", "commit")


@dataclass(frozen=True)
class Measurements:
    """The files that earlier stages wrote, as they wrote them.

    Attributes:
        metrics: reports/metrics.json: preset, dataset, ours, baselines, parameters.
        j_over_time: columns method, sequence, frame (text), J, F.
        j_by_position, f_by_position: columns position (in the video, percent) and one per method.
        success, precision: columns threshold (overlap in [0, 1]; pixels) and one per method.
        pretrain_curves: columns step and one per loss of FPN pre-training.
        pretrain_metrics: AP and AR of FPN pre-training; empty if there was none.
        tracking_curves: columns step and one per loss of tracking training.
        validation_curves: columns step, J&F, J, F, success_auc, precision_20px, on the first frames of the held-out
            sequences during training.
        held_out: scores of the stage validate on all frames of the held-out sequences.
        ablations: one row per variant of the network, the complete one first; written by scripts/ablations.py.
    """

    metrics: dict[str, Any]
    j_over_time: pd.DataFrame
    j_by_position: pd.DataFrame
    f_by_position: pd.DataFrame
    success: pd.DataFrame
    precision: pd.DataFrame
    pretrain_curves: pd.DataFrame
    pretrain_metrics: dict[str, Any]
    tracking_curves: pd.DataFrame
    validation_curves: pd.DataFrame
    held_out: dict[str, Any]
    ablations: pd.DataFrame


def read_measurements(reports: Path) -> Measurements:
    """Read the files of the folder `reports`.

    Raises:
        UserError: a file is missing, unreadable or lacks a column or key.
    """
    plots, pretrain, tracking = reports / "plots", reports / "pretrain_fpn", reports / "train_tracking"
    return Measurements(
        metrics=_read_json(reports / "metrics.json", ["preset", "dataset", "ours", "baselines", "parameters"]),
        j_over_time=_read_table(plots / "j_over_time.csv", ["method", "sequence", "frame", "J", "F"]),
        j_by_position=_read_table(plots / "j_by_position.csv", ["position", "ours"]),
        f_by_position=_read_table(plots / "f_by_position.csv", ["position", "ours"]),
        success=_read_table(plots / "success.csv", ["threshold", "ours"]),
        precision=_read_table(plots / "precision.csv", ["threshold", "ours"]),
        pretrain_curves=_read_table(pretrain / "curves.csv", ["step"]),
        pretrain_metrics=_read_json(pretrain / "metrics.json", []),
        tracking_curves=_read_table(tracking / "curves.csv", ["step"]),
        validation_curves=_read_table(tracking / "validation.csv", ["step", "J&F", "J", "F"]),
        held_out=_read_json(reports / "validate" / "metrics.json", ["J&F", "J", "F"]),
        ablations=_read_table(reports / "ablations.csv", ABLATIONS),
    )


def _read_json(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); run its stage again") from None
    absent = [key for key in keys if key not in content]
    if absent:
        raise UserError(f"{path}: lacks {', '.join(absent)}; run its stage again")
    return content


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str))
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path}: cannot be read ({error}); run its stage again") from None
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise UserError(f"{path}: lacks the column {', '.join(absent)}; run its stage again")
    return table


def _missing(path: Path) -> UserError:
    return UserError(f"{path}: no such file; run the stage that writes it, or restore it with git checkout")
