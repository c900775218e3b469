"""The page reports/index.html with its figures, and the pictures of `partprop compare`."""
