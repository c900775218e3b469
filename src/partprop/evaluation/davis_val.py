"""The validation sequences of DAVIS, by which results on the official benchmark are recognised.

Sources: ImageSets/2016/val.txt and ImageSets/2017/val.txt of the official archives (Perazzi et al., CVPR 2016;
Pont-Tuset et al., 2017).
"""

from collections.abc import Collection

_VAL_2016 = """
blackswan bmx-trees breakdance camel car-roundabout car-shadow cows dance-twirl dog drift-chicane drift-straight goat
horsejump-high kite-surf libby motocross-jump paragliding-launch parkour scooter-black soapbox
"""
_ADDED_IN_2017 = "bike-packing dogs-jump gold-fish india judo lab-coat loading mbike-trick pigs shooting"

DAVIS_VAL = {2016: frozenset(_VAL_2016.split()), 2017: frozenset((_VAL_2016 + _ADDED_IN_2017).split())}
"""Names of the 20 sequences of DAVIS 2016 val and of the 30 of DAVIS 2017 val, by year."""


def is_davis_val(names: Collection[str], year: int) -> bool:
    """Whether these sequences are exactly the validation split of DAVIS of that year."""
    return set(names) == DAVIS_VAL.get(year)
