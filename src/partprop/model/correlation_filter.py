"""A correlation filter for each object: the linear filter on keys that best tells it from its ground."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FILTER_REACH = 1  # cells of a neighbourhood on each side
LEAST_LOG_RIDGE = -8.0  # keeps a frame of one colour solvable in single precision


class CorrelationFilter(nn.Module):
    """Ridge regression of object (1) against ground (-1) on a cell's key and the mean key around it, in closed form.

    The aim is that of discriminative correlation filters (MOSSE, Bolme et al., CVPR 2010; KCF, Henriques et al., TPAMI
    2015), which regress over all shifts of a template instead; the use of the response as a coarse mask for a decoder
    is FRTM's (Robinson et al., CVPR 2020, 3.1). Where attention asks which single pixel is the most similar, the filter
    weighs what sets the whole object apart. Ridge, gain and keys learn through the solution; no weight of the network
    is tuned to the video.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_ridge = nn.Parameter(torch.tensor(-7.6))  # e^-7.6 ≈ 0.0005 of the inputs' mean square
        self.log_gain = nn.Parameter(torch.tensor(1.4))  # e^1.4 ≈ 4, log-odds at a response of 1

    def fit(self, keys: Tensor, mask: Tensor) -> Tensor:
        """The filter's weights (B, 2·C + 1) for keys (B, C, h, w) with mask (B, 1, h, w) in [0, 1].

        Object and ground weigh the same, however large they are.
        """
        inputs, is_object = _inputs(keys), mask.flatten(2)
        on_object, on_ground = (
            part / (2 * part.sum(2, keepdim=True)).clamp(min=1e-6) for part in (is_object, 1 - is_object)
        )
        second = (inputs * (on_object + on_ground).transpose(1, 2)).transpose(1, 2) @ inputs
        contrast = ((on_object - on_ground) @ inputs).transpose(1, 2)
        ridge = self.log_ridge.clamp(min=LEAST_LOG_RIDGE).exp() * second.diagonal(dim1=1, dim2=2).mean(1)
        damped = second + ridge[:, None, None] * torch.eye(inputs.shape[2], device=inputs.device, dtype=inputs.dtype)
        if damped.device.type == "mps":  # not every PyTorch has cholesky_solve there
            damped, contrast = damped.cpu(), contrast.cpu()
        with torch.no_grad():
            factor = torch.linalg.cholesky(damped)
            solution = torch.cholesky_solve(contrast, factor)
        # one step of refinement carries the exact gradient, too; that of the factorisation costs several times more
        refined = solution + torch.cholesky_solve(contrast - damped @ solution, factor)
        return refined[..., 0].to(keys.device)

    def forward(self, keys: Tensor, weights: Tensor) -> Tensor:
        """Probability (B, 1, h, w) of the object at each cell with keys (B, C, h, w)."""
        response = (_inputs(keys) @ weights[..., None]).transpose(1, 2).unflatten(2, keys.shape[2:])
        return (self.log_gain.exp() * response).sigmoid()


def _inputs(keys: Tensor) -> Tensor:
    """Each cell's key, the mean of those around it, and a one: (B, h·w, 2·C + 1)."""
    around = F.avg_pool2d(keys, 2 * FILTER_REACH + 1, 1, FILTER_REACH)
    return torch.cat([keys, around, torch.ones_like(keys[:, :1])], 1).flatten(2).transpose(1, 2)
