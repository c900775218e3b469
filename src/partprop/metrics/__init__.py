"""DAVIS J and F, box measures, and their summary."""
