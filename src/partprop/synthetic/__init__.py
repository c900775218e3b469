"""Synthetic replacements for the data sets, rendered from a seed: equal settings give equal bytes."""

from partprop.synthetic.write import RenderSettings, write_coco, write_davis, write_stills

__all__ = ["RenderSettings", "write_coco", "write_davis", "write_stills"]
