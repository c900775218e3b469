"""DAVIS J and F, box metrics, and the baselines that the method is held against."""
