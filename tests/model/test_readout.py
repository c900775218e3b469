"""Memory, and what a pixel reads from it."""

import pytest
import torch
import torch.nn.functional as F

from partprop.model import readout
from partprop.model.readout import Memory, object_cells, read
from tiny import unit


def read_flat(memory: Memory, keys: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
    """Channels (B, V + 4, N) of the read-out at N cells with keys (B, C, N)."""
    return torch.cat(list(read(memory, keys[..., None], temperature)), 1)[..., 0]


def memory_of(keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor) -> Memory:
    return Memory(keys, values, mask, object_cells(mask, 1))


def test_reading_a_frame_with_its_own_keys_gives_its_mask():
    keys = unit(1, 32, 50)
    mask = (torch.arange(50) % 3 == 0).float()[None]
    readout = read_flat(memory_of(keys, torch.zeros(1, 2, 50), mask), keys, torch.tensor(200.0))
    torch.testing.assert_close(readout[:, 2], mask, atol=1e-3, rtol=0)
    torch.testing.assert_close(readout[0, 3].round(), mask[0])
    assert readout[0, 4][mask[0] > 0.5].min() > 0.999


def test_an_object_that_fills_no_cell_is_matched():
    keys, mask = unit(1, 32, 50), torch.zeros(1, 50)
    mask[0, :5] = 0.4
    readout = read_flat(memory_of(keys, torch.zeros(1, 2, 50), mask), keys, torch.tensor(200.0))
    assert readout[0, 3, :5].min() > 0.99
    assert readout[0, 3, 5:].max() < 0.01


def test_a_thin_object_stays_known_beside_a_frame_that_shows_it_nearer():
    keys, mask = unit(1, 32, 50), torch.zeros(1, 50)
    mask[0, :5] = 0.4
    nearer = memory_of(unit(1, 32, 10, seed=9), torch.zeros(1, 2, 10), torch.ones(1, 10))
    readout = read_flat(memory_of(keys, torch.zeros(1, 2, 50), mask).joined(nearer, 0.9), keys, torch.tensor(200.0))
    assert readout[0, 3, :5].min() > 0.99


def test_a_faint_mask_shows_no_object():
    assert not object_cells(torch.tensor([[0.004, 0.003, 0.001]]), 1).any()
    assert object_cells(torch.tensor([[0.7, 0.4, 0.6]]), 1).tolist() == [[True, False, True]]


@pytest.mark.parametrize("at_once", [1, 30, 70])
def test_large_frames_are_read_piece_by_piece(at_once: int, monkeypatch: pytest.MonkeyPatch):
    memory = memory_of(unit(2, 16, 15), torch.randn(2, 3, 15), torch.rand(2, 15))
    keys, temperature = unit(2, 16, 23, seed=1), torch.tensor(40.0)
    whole = read_flat(memory, keys, temperature)
    monkeypatch.setattr(readout, "SIMILARITIES_AT_ONCE", at_once)
    torch.testing.assert_close(read_flat(memory, keys, temperature), whole)


def test_attention_of_equal_keys_is_the_mean():
    keys = unit(1, 8, 1).expand(-1, -1, 10)
    values = torch.randn(1, 3, 10, generator=torch.Generator().manual_seed(2))
    mask = torch.tensor([[1.0] * 4 + [0.0] * 6])
    readout = read_flat(memory_of(keys, values, mask), keys[:, :, :1], torch.tensor(10.0))
    torch.testing.assert_close(readout[0, :3, 0], values[0].mean(1))
    assert readout[0, 3, 0] == pytest.approx(0.4)
    assert readout[0, 4, 0] == pytest.approx(0.5)


def test_in_doubt_the_memory_that_weighs_more_is_believed():
    keys = unit(1, 16, 12)
    given, recent = (memory_of(keys, torch.zeros(1, 2, 12), mask) for mask in (torch.zeros(1, 12), torch.ones(1, 12)))
    readout = read_flat(given.joined(recent, weight=0.5), keys, torch.tensor(50.0))
    assert readout[:, 2].max() < 1e-3
    readout = read_flat(given.joined(recent, weight=1.0), keys, torch.tensor(50.0))
    torch.testing.assert_close(readout[:, 2], torch.full((1, 12), 0.5))


def test_a_coarsened_memory_has_means_of_blocks_far_away():
    keys, values = unit(1, 16, 6 * 10), torch.arange(60.0)[None, None]
    mask = torch.rand(1, 60, generator=torch.Generator().manual_seed(1))
    near = torch.zeros(6, 10, dtype=torch.bool)
    near[1, 5] = True  # in the block of rows 0 to 3 and columns 4 to 7
    memory = memory_of(keys, values, mask).coarsened(near, 4)
    assert memory.values[0, 0, :16].tolist() == [10 * row + column for row in range(4) for column in range(4, 8)]
    columns = [slice(0, 4), slice(4, 8), slice(8, 10)]
    far = [(slice(0, 4), columns[0]), (slice(0, 4), columns[2]), *((slice(4, 6), part) for part in columns)]
    grid = values.view(6, 10)
    torch.testing.assert_close(memory.values[0, 0, 16:], torch.stack([grid[place].mean() for place in far]))
    torch.testing.assert_close(memory.mask[0, 16:], torch.stack([mask.view(6, 10)[place].mean() for place in far]))
    torch.testing.assert_close(memory.keys.norm(dim=1), torch.ones(1, len(far) + 16))
    cosine = F.cosine_similarity(memory.keys[0, :, 16], keys.view(16, 6, 10)[:, :4, :4].flatten(1).mean(1), dim=0)
    assert cosine == pytest.approx(1.0)
