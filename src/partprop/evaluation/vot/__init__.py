"""The supervised protocol of VOT, and the segmenter under it."""
