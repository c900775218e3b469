"""The network: backbone, feature pyramid, detector, correlation, propagation."""
