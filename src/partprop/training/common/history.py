"""What a training has logged so far: running means of the losses, curves by step, and their files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from torch import Tensor

from partprop.base.files import atomic_write


class MetricLog(Protocol):
    """Where curves are also sent, such as an MLflow run."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers at a step."""
        ...


@dataclass
class History:
    """Rows of a curve, each a mapping with the key `step`; losses are averaged between rows.

    Args:
        log: receives each row.
    """

    log: MetricLog
    rows: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add one step's losses to the running means."""
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(loss.detach())
        self.count += 1

    def flush(self, step: int, **others: float) -> dict[str, float]:
        """Make a row of the running means, and begin new ones."""
        row = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return self.append(step, row | others)

    def append(self, step: int, values: Mapping[str, float]) -> dict[str, float]:
        """Add a row and log it."""
        self.rows.append({"step": step, **values})
        self.log.metrics(values, step)
        return self.rows[-1]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": self.rows, "sums": self.sums, "count": self.count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; its rows are logged again, since a resumed stage is a new run."""
        self.rows, self.sums, self.count = list(state["rows"]), dict(state["sums"]), int(state["count"])
        for row in self.rows:
            self.log.metrics({name: value for name, value in row.items() if name != "step"}, int(row["step"]))

    def write(self, path: Path) -> None:
        """Write the rows as CSV."""
        with atomic_write(path) as temporary:
            pd.DataFrame(self.rows, columns=None if self.rows else ["step"]).to_csv(temporary, index=False)
