"""Helpers for every other package: errors, files, paths, threads."""
