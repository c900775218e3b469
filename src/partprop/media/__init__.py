"""Video files and folders of images as people have them: read frame by frame, and written for a browser."""
