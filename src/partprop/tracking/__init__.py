"""Following parts through a video and joining their masks, frame by frame."""
