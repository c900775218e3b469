"""Training clips, mask errors and losses of the tracking network."""
