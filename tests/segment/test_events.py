"""Messages about objects that are new, corrected or lost."""

from partprop.segment.events import Events


def test_spans_of_lost_frames_are_reported():
    events = Events()
    for frame, lost in enumerate([(), (1,), (1, 2), (1,), (), (2,)]):
        events.record(frame, {number: 0.0 if number in lost else 0.9 for number in (1, 2)}, [])
    assert events.report() == [
        "6 frames segmented",
        "object 1 lost in frames 1 to 3",
        "object 2 lost in frames 2, 5",
    ]


def test_new_corrected_and_too_small_objects_are_reported():
    events = Events()
    events.record(10, {1: 0.9}, [1])
    events.record(11, {1: 0.9, 2: 0.8, 3: 0.0}, [1, 2, 3])
    events.record(12, {1: 0.0, 2: 0.8, 3: 0.0}, [1])
    assert events.objects == 3
    assert events.report() == [
        "3 frames segmented",
        "object 1 is corrected in frame 11",
        "object 2 is new in frame 11",
        "object 3 is too small in frame 11 to be tracked at this resolution",
        "object 1 is not corrected: its mask in frame 12 is too small",
        "object 3 lost in frames 12",
    ]
