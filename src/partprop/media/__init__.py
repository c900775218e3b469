"""Reading videos and folders of images frame by frame, and writing videos that browsers play."""
