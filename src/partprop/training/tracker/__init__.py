"""Clips, losses and errors for training the tracker."""
