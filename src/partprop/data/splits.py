"""Rules for splitting a data set by sequence, checked before the pipeline starts and again on the data themselves."""

from collections.abc import Collection

from partprop.base.errors import UserError
from partprop.base.paths import PARAMS

SHOWN = 3  # names of a split in an error


def require_held_out(held_out: Collection[str], training: Collection[str]) -> None:
    """Check the sequences that are held out from training.

    Args:
        held_out: names under train_tracking.held_out.
        training: names of the training split.

    Raises:
        UserError: a held-out name is not in the training split, or no sequence is left to train on.
    """
    if unknown := sorted(set(held_out) - set(training)):
        raise UserError(
            f"{PARAMS}: train_tracking.held_out: {', '.join(unknown)} not in the training split, which has "
            f"{', '.join(sorted(training)[:SHOWN])} …; correct the names"
        )
    if set(training) <= set(held_out):
        raise UserError(f"{PARAMS}: train_tracking.held_out: all training sequences; leave some to train on")


def require_shards(shards: int, sequences: int) -> None:
    """Check that every shard of inference gets a sequence of the validation split.

    Raises:
        UserError: there are more shards than sequences.
    """
    if shards > sequences:
        raise UserError(
            f"{PARAMS}: infer.shards: {shards} shards for {sequences} validation sequences; have at most {sequences}"
        )
