"""Whether the shards of inference fit the videos that there are."""

from partprop.data.download import local_source
from partprop.errors import UserError
from partprop.params import Params

OFFICIAL_VAL_SEQUENCES = {2016: 20, 2017: 30}


def require_sequences(params: Params) -> None:
    """Every shard needs a sequence of the validation split.

    Raises:
        UserError: there are more shards than sequences.
    """
    sequences = val_sequences(params)
    shards = len(params.infer.shards)
    if sequences is not None and shards > sequences:
        raise UserError(
            f"params.yaml: infer.shards: {shards} shards for {sequences} validation sequences; have at most {sequences}"
        )


def val_sequences(params: Params) -> int | None:
    """The number of validation sequences; None where it is known only after the download."""
    davis = params.data.davis
    if davis.source == "synthetic":
        return params.data.synthetic.val_videos
    if davis.source == "official":
        return OFFICIAL_VAL_SEQUENCES[davis.year]
    try:
        names = local_source(davis.source) / "ImageSets" / str(davis.year) / "val.txt"
        return len(names.read_text(encoding="utf-8").split())
    except (UserError, OSError):
        return None
