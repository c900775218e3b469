"""Tell whether one recipe is ahead of another on the held-out sequences.

    .venv/bin/python scripts/ahead.py --new new1.json new2.json --old old1.json old2.json

Each file is reports/validate/metrics.json of a run, one for each seed, in the order of the seeds. Ahead means that
every seed is better, and that the paired bootstrap interval of the mean difference over the sequences leaves out 0.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from partprop.base.errors import UserError
from partprop.metrics.bootstrap import bootstrap_interval

PREFIX = "J&F "
SUMMARIES = ("J&F last third",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--new", type=Path, nargs="+", required=True, help="runs of the new recipe, one per seed")
    parser.add_argument("--old", type=Path, nargs="+", required=True, help="runs of the old recipe, one per seed")
    arguments = parser.parse_args()
    try:
        compare(arguments.new, arguments.old)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def compare(new: list[Path], old: list[Path]) -> None:
    """Print the difference of each seed and sequence, their mean with its interval, and a verdict.

    Raises:
        UserError: the numbers of runs or their sequences differ, or a file is not of the stage validate.
    """
    if len(new) != len(old):
        raise UserError(f"{len(new)} new runs and {len(old)} old ones; name as many seeds of each")
    scores = {path: read_sequences(path) for path in [*new, *old]}
    names = sorted(scores[new[0]])
    for path, sequences in scores.items():
        if sorted(sequences) != names:
            raise UserError(f"{path}: other held-out sequences than {new[0]}; compare runs with the same ones")
    differences = np.array(
        [[scores[one][name] - scores[other][name] for name in names] for one, other in zip(new, old, strict=True)]
    )
    for name, column in zip(names, differences.T, strict=True):
        print(f"{name:24s}", *(f"{value:+8.3f}" for value in column))
    print(f"{'mean of each seed':24s}", *(f"{value:+8.3f}" for value in differences.mean(1)))
    low, high = bootstrap_interval(differences.mean(0), np.ones(len(names)))
    ahead = bool((differences.mean(1) > 0).all() and low > 0)
    print(f"mean difference {differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]: {'ahead' if ahead else 'not ahead'}")


def read_sequences(path: Path) -> dict[str, float]:
    """J&F by sequence in a metrics.json of the stage validate.

    Raises:
        UserError: the file is missing, or not of that stage.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = {
            key.removeprefix(PREFIX): float(value)
            for key, value in content.items()
            if key.startswith(PREFIX) and key not in SUMMARIES
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not readable as metrics of the stage validate ({error}); name its file") from None
    if not found:
        raise UserError(f"{path}: has no scores of sequences; name a metrics.json of the stage validate")
    return found


if __name__ == "__main__":
    main()
