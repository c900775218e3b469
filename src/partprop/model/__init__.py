"""The network: backbone and feature pyramid, part tracker, pixel correlation, mask propagation."""
