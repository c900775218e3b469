"""This process: its parent, its allocator, the libraries it loads."""
