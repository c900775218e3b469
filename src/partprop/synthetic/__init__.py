"""Synthetic replacements for COCO and DAVIS, rendered from a seed: equal settings give equal bytes."""

from partprop.synthetic.write import RenderSettings, write_coco, write_davis

__all__ = ["RenderSettings", "write_coco", "write_davis"]
