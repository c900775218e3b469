"""This process and its surroundings: its parent, its allocator, its libraries."""
