"""The online loop: objects and their parts from frame to frame."""
