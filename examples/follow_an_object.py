# %% [markdown]
# Segment two objects through a video with the weights that come with partprop. Run it as a script, or cell by cell in
# an editor that supports `# %%`.

# %% A video and the mask of its first frame, rendered here. `partprop.media.reading.open_frames` reads video files.
import numpy as np

from partprop import Segmenter
from partprop.metrics.davis import jaccard
from partprop.segment.benchmark import render_disks

images, masks = zip(*(render_disks(number, objects=2) for number in range(10)), strict=True)
print(f"{len(images)} frames of {images[0].shape[1]}x{images[0].shape[0]} pixels, objects {np.unique(masks[0])[1:]}")

# %% The mask of the first frame shows the objects; each further frame is segmented as it arrives.
segmenter = Segmenter(short_side=240)  # pixels; small, to be fast
segmenter.start(images[0], masks[0])
results = [segmenter.step(image) for image in images[1:]]

# %% A result holds a label map and, for each object, probabilities, a confidence, its box and the boxes of its parts.
last = results[-1]
for number, confidence in last.confidence.items():
    box = next(part.box for part in last.boxes if part.object_id == number and part.part == 0)
    parts = sum(part.object_id == number for part in last.boxes) - 1
    print(f"object {number}: confidence {confidence:.2f}, {parts} parts, box {np.round(box).astype(int)}")

# %% The accuracy in the last frame: region similarity J, the intersection over union.
for number in last.confidence:
    print(f"object {number}: J {jaccard(last.labels == number, masks[-1] == number):.3f}")
