"""Cross-correlation against its definition and a case with a known answer."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.model.cross_correlation import depthwise_cross_correlation


def plain_cross_correlation(template: Tensor, search: Tensor) -> Tensor:
    """The definition, one place at a time."""
    count, channels, height, width = template.shape
    rows, columns = search.shape[2] - height + 1, search.shape[3] - width + 1
    response = torch.zeros(count, channels, rows, columns)
    for row in range(rows):
        for column in range(columns):
            window = search[:, :, row : row + height, column : column + width]
            response[:, :, row, column] = (window * template).mean((2, 3))
    return response


def test_cross_correlation_is_its_definition():
    generator = torch.Generator().manual_seed(0)
    template, search = torch.randn(3, 4, 3, 2, generator=generator), torch.randn(3, 4, 7, 6, generator=generator)
    torch.testing.assert_close(depthwise_cross_correlation(template, search), plain_cross_correlation(template, search))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (8, 8)])
def test_patch_correlates_most_with_itself(row: int, column: int):
    search = torch.randn(1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    search = F.normalize(search, dim=1)
    template = search[:, :, row : row + 8, column : column + 8]
    response = depthwise_cross_correlation(template, search).sum(1)[0]
    assert divmod(int(response.argmax()), response.shape[1]) == (row, column)
