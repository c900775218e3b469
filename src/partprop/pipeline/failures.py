"""The error line of each failed stage, kept so that Snakemake can repeat it below its own messages."""

from pathlib import Path

FOLDER = Path(".snakemake/failures")


def record_failure(stage: str, line: str) -> None:
    """Keep the error line of a stage."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / stage).write_text(" ".join(line.split()) + "\n", encoding="utf-8")


def clear_failure(stage: str) -> None:
    """Delete the error line of an earlier run of the stage."""
    (FOLDER / stage).unlink(missing_ok=True)


def clear_failures() -> None:
    """Delete the error lines of all stages."""
    if FOLDER.exists():
        for path in FOLDER.iterdir():
            path.unlink(missing_ok=True)


def last_failure() -> str | None:
    """The error line of the stage that failed last; None if no stage failed."""
    paths = sorted(FOLDER.glob("*"), key=lambda path: path.stat().st_mtime)
    return paths[-1].read_text(encoding="utf-8").strip() if paths else None
