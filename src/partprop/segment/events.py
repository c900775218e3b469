"""What happens to the objects of a video: new, corrected, lost."""


class Events:
    """Records which objects are added, corrected or lost in which frames, and reports it to the user.

    Attributes:
        frames: number of frames recorded.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._lost_spans: dict[int, list[list[int]]] = {}  # [first, last] frames in which an object is lost, by id
        self._lost_before: set[int] = set()  # ids lost in the previous frame
        self._tracked: set[int] = set()  # ids that were ever tracked
        self._lines: list[str] = []

    def record(self, frame: int, confidence: dict[int, float], shown: list[int]) -> None:
        """Record a frame; frames come in order.

        Args:
            frame: its number.
            confidence: of each object so far, by id, in [0, 1]; 0 for a lost object.
            shown: ids of the objects in the prompts of this frame.
        """
        for number in shown:
            if confidence[number] == 0 and number in self._tracked:
                self._lines.append(f"object {number} is not corrected: its mask in frame {frame} is too small")
            elif confidence[number] == 0:
                self._lines.append(f"object {number} is too small in frame {frame} to be tracked at this resolution")
            elif self.frames:
                change = "is corrected" if number in self._tracked else "is new"
                self._lines.append(f"object {number} {change} in frame {frame}")
        self._tracked |= {number for number, value in confidence.items() if value > 0}
        lost = {number for number, value in confidence.items() if value == 0} - set(shown)
        for number in confidence:
            spans = self._lost_spans.setdefault(number, [])
            if number in lost & self._lost_before:
                spans[-1][1] = frame
            elif number in lost:
                spans.append([frame, frame])
        self._lost_before = lost
        self.frames += 1

    @property
    def objects(self) -> int:
        """The number of objects shown so far."""
        return len(self._lost_spans)

    def report(self) -> list[str]:
        """The number of frames, then a line for each later mask or box, then a line for each object that was lost."""
        return [f"{self.frames} frames segmented", *self._lines] + [
            f"object {number} lost in frames " + ", ".join(map(_describe_span, spans))
            for number, spans in self._lost_spans.items()
            if spans
        ]


def _describe_span(frames: list[int]) -> str:
    first, last = frames
    return f"{first}" if first == last else f"{first} to {last}"
