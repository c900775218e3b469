"""A fake device `cuda:0` that refuses to mix its tensors with the CPU's, to find code that leaves tensors behind.

Its tensors report the device and compute on the CPU, so it needs no GPU and says nothing about a real one's rounding or
speed; tests/gpu runs on real devices. PyTorch's fake tensors (torch._subclasses.fake_tensor) hold no values, which the
segmenter and the detector branch on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

needs_fake_cuda = pytest.mark.skipif(
    not torch.backends.cuda.is_built() or torch.cuda.is_available(), reason="needs PyTorch built for CUDA, and no GPU"
)
CUDA = torch.device("cuda", 0)
COPIES = ("aten::copy_", "aten::_to_copy")
INDEXING = ("aten::index.Tensor", "aten::_unsafe_index.Tensor", "aten::index_put_", "aten::_index_put_impl_")


class FakeCudaTensor(Tensor):
    """A tensor that reports the fake device.

    Attributes:
        values: its values on the CPU.
    """

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> Self:
        layout = {"strides": values.stride(), "storage_offset": values.storage_offset()}
        made: Self = torch.Tensor._make_wrapper_subclass(cls, values.shape, dtype=values.dtype, device=CUDA, **layout)
        made.values = values
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"FakeCudaTensor({self.values!r})"

    def tolist(self) -> Any:
        """Return the values; PyTorch's own does not support subclasses."""
        return self.values.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} outside of fake_cuda()")


class _FakeCuda(TorchDispatchMode):
    """Computes the operations on the fake device on the CPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        fakes = [tensor for tensor in tensors if isinstance(tensor, FakeCudaTensor)]
        target = next((leaf.type for leaf in leaves if isinstance(leaf, torch.device)), None)
        if not fakes and target != "cuda":
            return func(*args, **kwargs)
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            with self:  # inference mode does not decompose these
                return func.decompose(*args, **kwargs)
        _require_one_device(func, args, tensors)
        result = func(*_on_cpu(args), **_on_cpu(kwargs))
        if func.name() == "aten::copy_":
            return args[0]
        if func.name() == "aten::_local_scalar_dense" or target == "cpu":
            return result
        return _on_fake(func, result, fakes)


def _require_one_device(func: Any, args: Any, tensors: list[Tensor]) -> None:
    """Refuse tensors of two devices, except where CUDA allows them: scalars in pointwise operations, and indices."""
    others = [tensor for tensor in tensors if not isinstance(tensor, FakeCudaTensor)]
    if torch.Tag.pointwise in func.tags or func.name() == "aten::fill_.Tensor":
        others = [tensor for tensor in others if tensor.dim() > 0]
    if func.name() in INDEXING and isinstance(args[0], FakeCudaTensor):
        new_values = args[2:3]
        others = [value for value in new_values if not isinstance(value, FakeCudaTensor) and value.dim() > 0]
    assert not others or func.name() in COPIES, f"{func}: tensors of two devices"


def _on_cpu(arguments: Any) -> Any:
    values = tree_map_only(FakeCudaTensor, lambda tensor: tensor.values, arguments)
    return {**values, "device": torch.device("cpu")} if "device" in values else values


def _on_fake(func: Any, result: Any, fakes: list[FakeCudaTensor]) -> Any:
    """Wrap the result; a tensor changed in place is the argument itself."""
    by_values = {id(fake.values): fake for fake in fakes}

    def wrap(tensor: Tensor) -> Tensor:
        return by_values[id(tensor)] if id(tensor) in by_values else FakeCudaTensor(tensor)

    # a view of a normal tensor is a normal tensor in inference mode, too
    inference = torch.is_inference_mode_enabled() and not (func.is_view and not fakes[0].is_inference())
    with torch.inference_mode(inference):
        return tree_map_only(Tensor, wrap, result)


@contextmanager
def fake_cuda() -> Iterator[None]:
    """Provide the fake device `cuda:0` to this thread."""
    overwriting = torch.__future__.get_overwrite_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        torch._C._ensureCUDADeviceGuardSet()
        torch._C._set_only_lift_cpu_tensors(True)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            with _FakeCuda():
                yield
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(overwriting)
            torch._C._set_only_lift_cpu_tensors(False)
