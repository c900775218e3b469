"""Evidence and what the decoder sees of it."""

import torch

from partprop.model.evidence import Evidence
from partprop.model.readout import ReadOut


def evidence_of(*packed: torch.Tensor) -> Evidence:
    return Evidence(*(ReadOut.of(channels) for channels in packed), torch.rand(1, 1, 2, 2))


def test_local_matches_replace_global_ones_where_the_memory_is_not_trusted():
    far, near = torch.rand(1, 3 + 4, 2, 2), torch.rand(1, 3 + 4, 2, 2)
    trust = torch.tensor([1.0, 0.25, 0.0, 0.0]).view(1, 1, 2, 2)
    evidence = evidence_of(far, near)
    seen = evidence.trusting(trust)
    torch.testing.assert_close(seen.matches[:, :4], trust * far[:, 3:] + (1 - trust) * near[:, 3:])
    torch.testing.assert_close(seen.matches[:, :4, 1], near[:, 3:, 1])
    assert torch.equal(seen.matches[:, 4:], evidence.matches[:, 4:])
    assert torch.equal(seen.values, evidence.values)


def test_masks_and_lead_come_from_their_read_outs():
    far, near = torch.rand(1, 3 + 4, 2, 2), torch.rand(1, 3 + 4, 2, 2)
    evidence = evidence_of(far, near)
    assert torch.equal(evidence.masks, torch.cat([far[:, 3:4], evidence.filtered, near[:, 3:4]], 1))
    assert torch.equal(evidence.lead, far[:, 6:7] - near[:, 6:7])
    assert torch.equal(evidence.values, torch.cat([far[:, :3], near[:, :3]], 1))
