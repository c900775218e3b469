"""The lines on objects that appeared, were corrected or were lost."""

from partprop.segment.events import Events


def test_when_objects_were_lost():
    events = Events()
    for frame, lost in enumerate([(), (1,), (1, 2), (1,), (), (2,)]):
        events.note(frame, {number: 0.0 if number in lost else 0.9 for number in (1, 2)}, [])
    assert events.report() == [
        "6 frames segmented",
        "object 1 lost in the frames 1 to 3",
        "object 2 lost in the frames 2, 5",
    ]


def test_who_is_new_corrected_or_too_small():
    events = Events()
    events.note(10, {1: 0.9}, [1])
    events.note(11, {1: 0.9, 2: 0.8, 3: 0.0}, [1, 2, 3])
    events.note(12, {1: 0.0, 2: 0.8, 3: 0.0}, [1])
    assert events.objects == 3
    assert events.report() == [
        "3 frames segmented",
        "object 1 is corrected in frame 11",
        "object 2 is new in frame 11",
        "object 3 is too small in frame 11 to be followed at this size",
        "the mask of object 1 in frame 12 is too small to correct it",
        "object 3 lost in the frames 12",
    ]
