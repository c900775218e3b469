"""Metric curves of a training: losses averaged between rows, logged as they grow, and written as CSV."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from torch import Tensor

from partprop.base.files import atomic_write


class MetricLog(Protocol):
    """A receiver of metrics, such as an MLflow run."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers at a step."""
        ...


@dataclass
class History:
    """The rows of a curve.

    Args:
        log: receives each new row.
        rows: by column name; each has the column `step`.
        sums: of each loss since the last row.
        count: of the steps in `sums`.
    """

    log: MetricLog
    rows: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add the losses of one step, scalars by name, to the running sums."""
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(loss.detach())
        self.count += 1

    def flush(self, step: int, **others: float) -> dict[str, float]:
        """Append a row of the mean losses since the last row and of `others`; return it and reset the sums."""
        row = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return self.append(step, row | others)

    def append(self, step: int, values: Mapping[str, float]) -> dict[str, float]:
        """Append and log a row; return it."""
        self.rows.append({"step": step, **values})
        self.log.metrics(values, step)
        return self.rows[-1]

    def state_dict(self) -> dict[str, Any]:
        """Return rows and running sums, for a checkpoint."""
        return {"rows": self.rows, "sums": self.sums, "count": self.count}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore a checkpoint's rows and sums, and log the rows again: a resumed stage is a new MLflow run."""
        self.rows, self.sums = list(state_dict["rows"]), dict(state_dict["sums"])
        self.count = int(state_dict["count"])
        for row in self.rows:
            self.log.metrics({name: value for name, value in row.items() if name != "step"}, int(row["step"]))

    def write(self, path: Path) -> None:
        """Write the rows as CSV; only the header `step` if there are none."""
        with atomic_write(path) as temporary:
            pd.DataFrame(self.rows, columns=None if self.rows else ["step"]).to_csv(temporary, index=False)
