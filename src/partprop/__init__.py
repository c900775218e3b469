"""One-shot video object segmentation: track the object's parts, propagate their masks."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from partprop.pretrained import Segmenter

__version__ = "0.1.0"
__all__ = ["Segmenter", "__version__"]


def __getattr__(name: str) -> Any:
    """Import `Segmenter`, and PyTorch with it, on first use, so that everything else starts at once."""
    if name != "Segmenter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from partprop.pretrained import Segmenter

    return Segmenter
