"""Images and videos: where they come from and how training samples are made of them."""
