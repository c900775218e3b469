"""The channels of what pixel correlation reads."""

import torch

from partprop.model.evidence import Correlated, believed
from partprop.model.readout import READOUT_EXTRA


def test_the_decoder_sees_local_matches_where_the_memory_is_not_trusted():
    values, extra = 3, READOUT_EXTRA
    evidence = torch.rand(1, 2 * (values + extra) + 1, 2, 2)
    trust = torch.tensor([1.0, 0.25, 0.0, 0.0]).view(1, 1, 2, 2)
    seen = believed(Correlated(evidence, torch.zeros(1, 1, 4, 4), trust))
    matches, local = slice(values, values + extra), slice(2 * values + extra, 2 * (values + extra))
    expected = evidence.clone()
    expected[:, matches] = trust * evidence[:, matches] + (1 - trust) * evidence[:, local]
    torch.testing.assert_close(seen, expected)
    torch.testing.assert_close(seen[:, matches, 1], evidence[:, local, 1])
