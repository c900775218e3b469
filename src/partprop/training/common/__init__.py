"""Code shared by both training stages."""
