"""A correlation filter per object: the linear filter on keys that separates it best from its background."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.readout import ReadOut
from partprop.model.windows import Window, cut, grown, within

FILTER_REACH = 1  # cells of the neighbourhood on each side
LEAST_LOG_RIDGE = -8.0  # keeps a frame of one colour solvable in single precision


class CorrelationFilter(nn.Module):
    """Ridge regression of object (1) against background (-1) on a cell's key and the mean key around it.

    The aim is that of discriminative correlation filters (MOSSE, Bolme et al., CVPR 2010; KCF, Henriques et al., TPAMI
    2015), which regress over all shifts of a template instead. A decoder uses the response as a coarse mask, as in FRTM
    (Robinson et al., CVPR 2020, 3.1). Attention asks which single pixel is most similar; the filter weighs what sets
    the whole object apart. Ridge, and keys that learn, get gradients through the closed-form solution; the gain scales
    the response. No weight of the network is tuned to the video.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_ridge = nn.Parameter(torch.tensor(-7.6))  # e^-7.6 ≈ 0.0005 of the inputs' mean square
        self.log_gain = nn.Parameter(torch.tensor(1.4))  # e^1.4 ≈ 4, log-odds at a response of 1

    def fit(self, keys: Tensor, mask: Tensor) -> Tensor:
        """Weights (B, 2·C + 1) for keys (B, C, h, w) with a mask (B, 1, h, w) in [0, 1].

        Object and background weigh the same, whatever their size.
        """
        inputs, is_object = _inputs(keys), mask.flatten(2)
        on_object, on_background = (
            part / (2 * part.sum(2, keepdim=True)).clamp(min=1e-6) for part in (is_object, 1 - is_object)
        )
        second = (inputs * (on_object + on_background).transpose(1, 2)).transpose(1, 2) @ inputs
        contrast = ((on_object - on_background) @ inputs).transpose(1, 2)
        ridge = self.log_ridge.clamp(min=LEAST_LOG_RIDGE).exp() * second.diagonal(dim1=1, dim2=2).mean(1)
        damped = second + ridge[:, None, None] * torch.eye(inputs.shape[2], device=inputs.device, dtype=inputs.dtype)
        if damped.device.type == "mps":  # some PyTorch versions lack cholesky_solve there
            damped, contrast = damped.cpu(), contrast.cpu()
        with torch.no_grad():
            factor = torch.linalg.cholesky(damped)
            solution = torch.cholesky_solve(contrast, factor)
        # one step of refinement also carries the exact gradient; that of the factorisation costs several times more
        refined = solution + torch.cholesky_solve(contrast - damped @ solution, factor)
        return refined[..., 0].to(keys.device)

    def find(self, keys: Tensor, window: Window, weights: Tensor, globally: ReadOut) -> Tensor:
        """Mask (B, 1, h, w) in [0, 1] of a window of a frame with keys (B, C, H, W).

        Args:
            weights: (B, 2·C + 1), see `fit`.
            globally: read-out of the window; not used here, see `AttentionFilter`.
        """
        context = grown(window, FILTER_REACH, keys.shape[2:])
        return cut(self(cut(keys, context), weights), within(window, context))

    def forward(self, keys: Tensor, weights: Tensor) -> Tensor:
        """Probability (B, 1, h, w) of the object at each cell with keys (B, C, h, w)."""
        response = (_inputs(keys) @ weights[..., None]).transpose(1, 2).unflatten(2, keys.shape[2:])
        return (self.log_gain.exp() * response).sigmoid()


class AttentionFilter(nn.Module):
    """Ablation: no filter. The mask that attention reads globally takes the place of the filter's mask."""

    def fit(self, keys: Tensor, mask: Tensor) -> Tensor:
        """No weights: (B, 0)."""
        return keys.new_zeros(len(keys), 0)

    def find(self, keys: Tensor, window: Window, weights: Tensor, globally: ReadOut) -> Tensor:
        """The mask of the read-out, (B, 1, h, w)."""
        return globally.mask


def _inputs(keys: Tensor) -> Tensor:
    """Each cell's key, the mean key around it, and a one: (B, h·w, 2·C + 1)."""
    around = F.avg_pool2d(keys, 2 * FILTER_REACH + 1, 1, FILTER_REACH)
    return torch.cat([keys, around, torch.ones_like(keys[:, :1])], 1).flatten(2).transpose(1, 2)
