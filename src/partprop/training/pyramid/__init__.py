"""Mask R-CNN on COCO, as pre-training of the feature pyramid."""
