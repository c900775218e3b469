"""What happens to the objects of a video, in words."""


class Events:
    """What the user should know of the objects: who appeared or was corrected, and from when to when each was lost.

    Attributes:
        frames: so many were noted.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._spans: dict[int, list[list[int]]] = {}  # lost, by object
        self._before: set[int] = set()  # lost in the frame before
        self._followed: set[int] = set()
        self._lines: list[str] = []

    def note(self, frame: int, confidence: dict[int, float], given: list[int]) -> None:
        """Take down who is lost in a frame, and of whom it had a mask; frames come in order."""
        for number in given:
            if confidence[number] == 0 and number in self._followed:
                self._lines.append(f"the mask of object {number} in frame {frame} is too small to correct it")
            elif confidence[number] == 0:
                self._lines.append(f"object {number} is too small in frame {frame} to be followed at this size")
            elif self.frames:
                done = "is corrected" if number in self._followed else "is new"
                self._lines.append(f"object {number} {done} in frame {frame}")
        self._followed |= {number for number, value in confidence.items() if value > 0}
        lost = {number for number, value in confidence.items() if value == 0} - set(given)
        for number in confidence:
            spans = self._spans.setdefault(number, [])
            if number in lost & self._before:
                spans[-1][1] = frame
            elif number in lost:
                spans.append([frame, frame])
        self._before = lost
        self.frames += 1

    @property
    def objects(self) -> int:
        """How many were shown so far."""
        return len(self._spans)

    def report(self) -> list[str]:
        """How many frames; a line for each mask after the first, and for each object that was lost at some time."""
        return [f"{self.frames} frames segmented", *self._lines] + [
            f"object {number} lost in the frames " + ", ".join(map(_span, spans))
            for number, spans in self._spans.items()
            if spans
        ]


def _span(frames: list[int]) -> str:
    first, last = frames
    return f"{first}" if first == last else f"{first} to {last}"
