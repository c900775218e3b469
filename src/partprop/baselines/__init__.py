"""Baselines that the method is compared with."""
