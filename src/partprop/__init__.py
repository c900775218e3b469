"""One-shot video object segmentation: track the object's parts, propagate their masks."""

__version__ = "0.1.0"
