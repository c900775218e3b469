# %% [markdown]
# Follow an object through a video with the weights that come with partprop. Run it as it is, or cell by cell in an
# editor that knows `# %%`.

# %% A video and the mask of its first frame: rendered here; `partprop.media.reading.open_frames` reads files.
import numpy as np

from partprop import Segmenter
from partprop.metrics.davis import jaccard
from partprop.segment.benchmark import render_disks

images, masks = zip(*(render_disks(number, objects=2) for number in range(10)), strict=True)
print(f"{len(images)} frames of {images[0].shape[1]}x{images[0].shape[0]} pixels, objects {np.unique(masks[0])[1:]}")

# %% The first frame shows what is to be followed; every further one is segmented as it comes.
segmenter = Segmenter(short_side=240)  # smaller than it could be, to be fast
segmenter.start(images[0], masks[0])
results = [segmenter.step(image) for image in images[1:]]

# %% A result holds a label map and, of each object, probabilities, confidence, its box and those of its parts.
last = results[-1]
for number, confidence in last.confidence.items():
    box = next(part.box for part in last.boxes if part.object_id == number and part.part == 0)
    parts = sum(part.object_id == number for part in last.boxes) - 1
    print(f"object {number}: confidence {confidence:.2f}, {parts} parts, box {np.round(box).astype(int)}")

# %% How good is it? J, intersection over union, in the last frame.
for number in last.confidence:
    print(f"object {number}: J {jaccard(last.labels == number, masks[-1] == number):.3f}")
