"""The last line of each failed stage, kept so that Snakemake can repeat it after everything else it prints."""

from pathlib import Path

FOLDER = Path(".snakemake/failures")


def record_failure(stage: str, line: str) -> None:
    """Keep the line with which a stage ended."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / stage).write_text(" ".join(line.split()) + "\n", encoding="utf-8")


def forget_failure(stage: str) -> None:
    """Drop what an earlier attempt of the stage left."""
    (FOLDER / stage).unlink(missing_ok=True)


def forget_failures() -> None:
    """Drop what earlier runs left."""
    if FOLDER.exists():
        for path in FOLDER.iterdir():
            path.unlink(missing_ok=True)


def last_failure() -> str | None:
    """The line of the stage that failed last."""
    paths = sorted(FOLDER.glob("*"), key=lambda path: path.stat().st_mtime)
    return paths[-1].read_text(encoding="utf-8").strip() if paths else None
