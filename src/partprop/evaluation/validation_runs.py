"""reports/validation_runs.csv: one row for each measurement on the validation sequences of DAVIS.

Every look at the validation sequences is a chance to fit them by hand, so the table records them all. It is tracked by
Git and is no output of a stage.
"""

import csv
import os
import platform
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from filelock import FileLock

from partprop.base.code_version import code_version
from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.base.paths import PIPELINE, REPORTS
from partprop.evaluation.davis_val import is_davis_val

TABLE = REPORTS / "validation_runs.csv"
COLUMNS = ("date", "commit", "preset", "seed", "machine", "J&F", "J", "F", "low", "high", "command")
HASH_LENGTH = 7  # characters of the commit


@dataclass(frozen=True)
class ValidationRun:
    """One measurement.

    Attributes:
        preset: `preset` of params.yaml, or what else the weights are called.
        seed: of the training; None if unknown.
        threads: number of CPU threads that inference used.
        j_and_f, j, f: means over the objects, in [0, 1].
        low, high: 95 % bootstrap interval of J&F over the sequences.
        command: the command line that measured.
    """

    preset: str
    seed: int | None
    threads: int
    j_and_f: float
    j: float
    f: float
    low: float
    high: float
    command: str


def record_run(run: ValidationRun, source: str, year: int, sequences: Collection[str]) -> bool:
    """Append a run to the table if it was measured on real videos that are exactly the validation split of DAVIS.

    Nothing is recorded in continuous integration (environment variable CI), in the temporary folder of
    `dvc exp run --temp`, or outside a checkout. Processes may record side by side.

    Args:
        run: the measurement.
        source: data.davis.source, or the folder that holds the videos.
        year: 2016 or 2017; decides which split the sequences must be.
        sequences: names of the measured sequences.

    Returns:
        Whether a row was appended.

    Raises:
        UserError: the table cannot be read or written, or its header is damaged.
    """
    if source == "synthetic" or not is_davis_val(sequences, year) or os.environ.get("CI") or not _in_main_checkout():
        return False
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{TABLE}.lock"):
        rows = _read_text()
        with atomic_write(TABLE) as temporary:
            temporary.write_text(rows + _csv_line(_row(run)), encoding="utf-8")
    return True


def _in_main_checkout() -> bool:
    """Whether the working directory is a checkout, and not DVC's temporary copy of one."""
    return PIPELINE.is_file() and Path(os.environ.get("DVC_ROOT") or ".").resolve() == Path.cwd()


def _read_text() -> str:
    """The table as it stands, ending with a newline; only the header if there is no table yet."""
    header = _csv_line(COLUMNS)
    if not TABLE.exists():
        return header
    try:
        text = TABLE.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{TABLE}: cannot be read ({error}); restore it with `git checkout {TABLE}`") from None
    if text.partition("\n")[0] + "\n" != header:
        raise UserError(
            f"{TABLE}: the first line is not {header.strip()}; restore it with `git checkout {TABLE}` and run again"
        )
    return text if text.endswith("\n") else text + "\n"


def _row(run: ValidationRun) -> tuple[str, ...]:
    version = code_version()
    commit = "" if version is None else version.commit[:HASH_LENGTH] + ("+" if version.modified else "")
    seed = "" if run.seed is None else str(run.seed)
    scores = (f"{value:.4f}" for value in (run.j_and_f, run.j, run.f, run.low, run.high))
    machine = f"{_processor()}, {run.threads} thread{'s' if run.threads > 1 else ''}"
    return (datetime.now(UTC).date().isoformat(), commit, run.preset, seed, machine, *scores, run.command)


def _processor() -> str:
    """Model name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # not Linux
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _csv_line(values: tuple[str, ...]) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
