"""From a frame to the levels of a feature pyramid."""
