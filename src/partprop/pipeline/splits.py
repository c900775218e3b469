"""Whether the videos that there are fit what params.yaml asks of them, as far as it is known before a stage runs."""

from partprop.base.errors import UserError
from partprop.download.download import local_source
from partprop.download.layouts import DAVIS
from partprop.download.trees import folder_tree
from partprop.params import Params

OFFICIAL_VAL_SEQUENCES = {2016: 20, 2017: 30}
SHOWN = 3  # names of a list in an error


def require_sequences(params: Params) -> None:
    """Every shard needs a sequence of the validation split, and what is held out must be in the training split.

    Raises:
        UserError: there are more shards than sequences, or sequences to hold out are not there or are all there are.
    """
    sequences, shards = val_sequences(params), len(params.infer.shards)
    if sequences is not None and shards > sequences:
        raise UserError(
            f"params.yaml: infer.shards: {shards} shards for {sequences} validation sequences; have at most {sequences}"
        )
    training = sequence_names(params, "train")
    if training is None:
        return
    if unknown := sorted(set(params.train_tracking.held_out) - set(training)):
        raise UserError(
            f"params.yaml: train_tracking.held_out: {', '.join(unknown)} not in the training split, which has "
            f"{', '.join(sorted(training)[:SHOWN])} …; correct the names"
        )
    if set(training) <= set(params.train_tracking.held_out):
        raise UserError("params.yaml: train_tracking.held_out: all training sequences; leave some to train on")


def val_sequences(params: Params) -> int | None:
    """The number of validation sequences; None where it is known only after the download."""
    if params.data.davis.source == "official":
        return OFFICIAL_VAL_SEQUENCES[params.data.davis.year]
    names = sequence_names(params, "val")
    return None if names is None else len(names)


def sequence_names(params: Params, split: str) -> list[str] | None:
    """The sequences of the split train or val; None where they are known only after the download."""
    davis = params.data.davis
    if davis.source == "synthetic":
        synthetic = params.data.synthetic
        count = synthetic.train_videos if split == "train" else synthetic.val_videos
        return [f"{split}-{index:02d}" for index in range(count)]
    if davis.source == "official" or "://" in davis.source:
        return None
    try:
        source = local_source(davis.source)
        if source.is_file():
            return None
        from partprop.data.video import split_names  # only now: it loads NumPy and OpenCV

        layout = DAVIS[davis.year]
        return split_names(source / folder_tree(source, layout).root(layout), split, davis.year)
    except UserError:  # the download stage says it with more context
        return None
