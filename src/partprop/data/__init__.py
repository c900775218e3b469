"""Readers and writers of data sets: images, label maps, videos, COCO annotations and box tracks."""
