"""`partprop demo`: a page on which objects are painted in a clip's first frame and followed through it."""
