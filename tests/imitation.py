"""A CUDA device that this machine lacks, imitated: its tensors say that they are there, and hold numbers here.

As on a true one, tensors of two devices do not mix, and NumPy gets none that was not copied back. What is not imitated
is how such a device rounds, and what it does while nobody waits for it. PyTorch's fake tensors do the same without
numbers (torch._subclasses.fake_tensor), and some of what only they need is used here.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

IMITABLE = torch.backends.cuda.is_built() and not torch.cuda.is_available()
"""PyTorch's other wheels know no CUDA tensors, and a true device is not to be taken for an imitated one."""

imitable = pytest.mark.skipif(not IMITABLE, reason="needs PyTorch's CUDA wheels, and no GPU")

CUDA = torch.device("cuda", 0)
COPIES = ("aten::copy_", "aten::_to_copy")
INDEXING = ("aten::index.Tensor", "aten::_unsafe_index.Tensor", "aten::index_put_", "aten::_index_put_impl_")


class Imitated(Tensor):
    """A tensor of the imitated device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Self:
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        made: Self = torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype, device=CUDA, **layout)
        made.held = held
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Imitated({self.held!r})"

    def tolist(self) -> Any:
        """Its numbers, which PyTorch gives of no tensor of another class."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} outside of `imitated_cuda`")


class ImitatedCuda(TorchDispatchMode):
    """Computes on the processor what is asked of the device.

    Attributes:
        seen: the operations that were, by their names, with the types of the numbers they were given.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, set[torch.dtype]] = defaultdict(set)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What an operation gives, on the device where a true one would be."""
        kwargs = kwargs or {}
        given = tree_leaves((args, kwargs))
        tensors = [each for each in given if isinstance(each, Tensor)]
        ours = [each for each in tensors if isinstance(each, Imitated)]
        asked = next((each.type for each in given if isinstance(each, torch.device)), None)
        if not ours and asked != "cuda":
            return func(*args, **kwargs)
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            with self:  # in inference mode these come whole
                return func.decompose(*args, **kwargs)
        _require_one_device(func, args, tensors)
        self.seen[func.name()].update(each.dtype for each in ours)
        made = func(*_here(func, args), **_here(func, kwargs))
        if func.name() == "aten::copy_":
            return args[0]
        if func.name() == "aten::_local_scalar_dense" or asked == "cpu":
            return made
        return _there(func, made, ours)


def _require_one_device(func: Any, args: Any, tensors: list[Tensor]) -> None:
    """Refuse tensors of two devices, but for what CUDA allows: single numbers in sums and the like, and indices."""
    strangers = [each for each in tensors if not isinstance(each, Imitated)]
    if torch.Tag.pointwise in func.tags or func.name() == "aten::fill_.Tensor":
        strangers = [each for each in strangers if each.dim() > 0]
    if func.name() in INDEXING and isinstance(args[0], Imitated):
        strangers = [each for each in args[2:3] if not isinstance(each, Imitated) and each.dim() > 0]  # new values
    assert not strangers or func.name() in COPIES, f"{func}: tensors of two devices"


def _here(func: Any, arguments: Any) -> Any:
    """Arguments with the held tensors, for the processor."""
    held = tree_map_only(Imitated, lambda each: each.held, arguments)
    if func.name() == "aten::_softmax" and held and held[2]:  # of halves in single precision, which GPUs alone can
        return held[0].float(), held[1], False
    return {**held, "device": torch.device("cpu")} if "device" in held else held


def _there(func: Any, made: Any, ours: list[Imitated]) -> Any:
    """What was made, as the imitated device's; a tensor that was changed in place is the one that was given."""
    given = {id(each.held): each for each in ours}
    # a view of a tensor that takes part in training is one, too, in inference mode
    inferring = torch.is_inference_mode_enabled() and not (func.is_view and not ours[0].is_inference())
    with torch.inference_mode(inferring):
        return tree_map_only(Tensor, lambda each: given[id(each)] if id(each) in given else Imitated(each), made)


@contextmanager
def imitated_cuda() -> Iterator[ImitatedCuda]:
    """Within, this thread has a device `cuda:0`, imitated; afterwards PyTorch still thinks that it once began CUDA."""
    overwriting = torch.__future__.get_overwrite_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)  # or there is no autocast
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        torch._C._ensureCUDADeviceGuardSet()
        torch._C._set_only_lift_cpu_tensors(True)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            with ImitatedCuda() as mode:
                yield mode
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(overwriting)
            torch._C._set_only_lift_cpu_tensors(False)
