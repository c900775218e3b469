"""Held-out sequences and shards that do not fit the data are one line that names the parameter."""

import pytest

from partprop.base.errors import UserError
from partprop.data.splits import require_held_out, require_shards


def test_held_out_names_must_be_in_the_training_split() -> None:
    require_held_out(["bear"], ["bear", "boat"])
    message = r"^params\.yaml: train_tracking\.held_out: beer not in the training split, which has bear, boat …; "
    with pytest.raises(UserError, match=message):
        require_held_out(["bear", "beer"], ["boat", "bear"])


def test_a_sequence_must_be_left_to_train_on() -> None:
    with pytest.raises(UserError, match=r"held_out: all training sequences; leave some to train on$"):
        require_held_out(["boat", "bear"], ["bear", "boat"])


def test_each_shard_needs_a_sequence() -> None:
    require_shards(2, 2)
    with pytest.raises(UserError, match=r"^params\.yaml: infer\.shards: 3 shards for 2 validation sequences; have at "):
        require_shards(3, 2)
