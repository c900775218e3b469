"""Correlation of cells with their neighbourhood in another frame."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from partprop.model.local_correlation import LocalCorrelation, within_radius
from tiny import unit


def test_only_cells_within_the_radius_are_read():
    keys, mask = unit(1, 16, 6, 6, seed=3), torch.zeros(1, 1, 6, 6)
    mask[0, 0, 5, 5] = 1
    seen = LocalCorrelation(keys, keys, (0, 0), 1, torch.tensor(1.0)).attend(mask)[0, 0] > 0
    assert seen[4:, 4:].all()
    assert seen.sum() == 4


def test_within_radius_is_flownets_neighbourhood():
    near = within_radius((2, 3), (8, 9), (3, 4), 2).view(2, 3, 8, 9)
    for row in range(2):
        for column in range(3):
            for other_row in range(8):
                for other_column in range(9):
                    distance = max(abs(row + 3 - other_row), abs(column + 4 - other_column))
                    assert near[row, column, other_row, other_column] == (distance <= 2)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 19), st.integers(1, 19)),
    margins=st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    radius=st.integers(0, 5),
    seed=st.integers(0, 9),
)
def test_only_pairs_within_the_radius(shape, margins, radius, seed):
    top, left, bottom, right = margins
    other = (shape[0] + top + bottom, shape[1] + left + right)
    generator = torch.Generator().manual_seed(seed)
    keys, other_keys = (F.normalize(torch.randn(2, 6, *grid, generator=generator), dim=1) for grid in (shape, other))
    known, temperature = torch.rand(2, 3, *other, generator=generator), torch.tensor(10.0)
    cosine = keys.flatten(2).transpose(1, 2) @ other_keys.flatten(2)
    cosine[:, ~within_radius(shape, other, (top, left), radius)] = -torch.inf
    attention = (cosine * temperature).softmax(2)

    around = LocalCorrelation(keys, other_keys, (top, left), radius, temperature)
    expected = (attention @ known.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, shape)
    torch.testing.assert_close(around.attend(known), expected)
    most = known[:, :1].amax((2, 3), keepdim=True)[..., 0]
    is_object = known[:, :1].flatten(2) > torch.where(most > 0.5, 0.5, 0.5 * most).clamp(min=1 / 32)
    best = [cosine.masked_fill(hidden, -1).amax(2).clamp(min=-1) for hidden in (~is_object, is_object)]
    match, closest, best_of_all = around.best_matches(known[:, :1]).flatten(2).unbind(1)
    torch.testing.assert_close(match, torch.sigmoid(temperature * (best[0] - best[1])))
    torch.testing.assert_close(closest, best[0])
    torch.testing.assert_close(best_of_all, cosine.amax(2))


def test_chosen_blocks_are_read_as_among_all():
    keys, mask = unit(2, 8, 21, 30, seed=5), torch.rand(2, 1, 21, 30)
    chosen = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(6)) > 0.5
    temperature = torch.tensor(20.0)
    among_all = LocalCorrelation(keys, keys, (0, 0), 3, temperature).attend(mask)
    read_alone = LocalCorrelation(keys, keys, (0, 0), 3, temperature, chosen).attend(mask)
    inside = chosen.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None, :21, :30]
    torch.testing.assert_close(read_alone, torch.where(inside, among_all, 0.0))


def test_frames_are_attended_to_together():
    keys, temperature = unit(1, 8, 9, 9, seed=8), torch.tensor(20.0)
    masks = [torch.rand(1, 1, 9, 9) for _ in range(3)]
    around = LocalCorrelation(keys, keys, (0, 0), 2, temperature)
    together = LocalCorrelation.attend_jointly(
        [(around, mask) for mask in masks]
    )  # all look alike: each counts the same
    torch.testing.assert_close(together, torch.stack([around.attend(mask) for mask in masks]).mean(0))
    stranger = LocalCorrelation(keys, -keys, (0, 0), 2, torch.tensor(200.0))
    torch.testing.assert_close(
        LocalCorrelation.attend_jointly([(LocalCorrelation(keys, keys, (0, 0), 2, torch.tensor(200.0)), masks[0])]),
        LocalCorrelation.attend_jointly(
            [(LocalCorrelation(keys, keys, (0, 0), 2, torch.tensor(200.0)), masks[0]), (stranger, masks[1])]
        ),
        atol=1e-3,
        rtol=0,
    )
