"""From a source to a complete data set on disk."""
