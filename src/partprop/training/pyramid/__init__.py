"""Pre-training of backbone, feature pyramid and keys on still images: Mask R-CNN, and matching."""
