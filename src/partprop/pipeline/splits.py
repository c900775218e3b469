"""Checks of params.yaml against the videos, as far as they are known before a stage runs."""

from partprop.base.errors import UserError
from partprop.data.splits import require_held_out, require_shards
from partprop.download.download import local_source
from partprop.download.layouts import DAVIS
from partprop.download.trees import folder_tree
from partprop.params import Params

OFFICIAL_VAL_SEQUENCES = {2016: 20, 2017: 30}


def require_sequences(params: Params) -> None:
    """Check infer.shards against the validation split and train_tracking.held_out against the training split.

    Raises:
        UserError: there are more shards than sequences, a held-out sequence does not exist, or all are held out.
    """
    sequences = val_sequences(params)
    if sequences is not None:
        require_shards(len(params.infer.shards), sequences)
    training = sequence_names(params, "train")
    if training is not None:
        require_held_out(params.train_tracking.held_out, training)


def val_sequences(params: Params) -> int | None:
    """The number of validation sequences; None if it is known only after the download."""
    if params.data.davis.source == "official":
        return OFFICIAL_VAL_SEQUENCES[params.data.davis.year]
    names = sequence_names(params, "val")
    return None if names is None else len(names)


def sequence_names(params: Params, split: str) -> list[str] | None:
    """The sequence names of the split "train" or "val"; None if they are known only after the download."""
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
        from partprop.data.video import split_names  # loads NumPy and OpenCV

        layout = DAVIS[davis.year]
        return split_names(source / folder_tree(source, layout).root(layout), split, davis.year)
    except UserError:  # the download stage reports it with more context
        return None
