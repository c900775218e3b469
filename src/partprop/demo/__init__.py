"""`partprop demo`: a web page to paint objects in the first frame of a clip and segment them through it."""
