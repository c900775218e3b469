"""`partprop segment` and `partprop benchmark`."""
