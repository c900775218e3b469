"""Command-line arguments of the benchmarks on named training sequences."""

import argparse
from pathlib import Path

from partprop.base.errors import UserError
from partprop.base.threads import use_threads
from partprop.data.video import Video, open_davis
from partprop.process.allocator import keep_freed_pages


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser for the folder, the sequence names and the number of threads."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path, help="DAVIS folder")
    parser.add_argument("sequences", nargs="+", help="names of training sequences")
    parser.add_argument("--threads", type=int, default=2)
    return parser


def prepare(threads: int) -> None:
    """Set thread counts and the allocator as the stages do."""
    keep_freed_pages()
    use_threads(threads)


def named_sequences(davis: Path, names: list[str]) -> list[Video]:
    """Open training sequences by name, in the given order.

    Raises:
        UserError: a name is not in the training split.
    """
    by_name = {sequence.name: sequence for sequence in open_davis(davis, "train", 2016)}
    if unknown := [name for name in names if name not in by_name]:
        raise UserError(f"{', '.join(unknown)}: no such training sequence; choose from {', '.join(by_name)}")
    return [by_name[name] for name in names]
