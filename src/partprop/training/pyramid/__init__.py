"""Mask R-CNN on COCO, which pre-trains the pyramid."""
