"""Evaluation of folders of results, comparison of two results, and the record of validation runs."""
