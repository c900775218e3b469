"""Measure accuracy and speed of `partprop segment --max-size` at several sizes.

    .venv/bin/python benchmarks/max_size.py data/davis dance-jump drift-turn

Segments the named training sequences as `partprop segment` does. Name sequences that the weights of the package were
not trained on; their model card lists the held-out ones.
"""

import sys

from training_videos import named_sequences, parser_of, prepare

from partprop.base.errors import UserError
from partprop.pretrained import Segmenter
from partprop.segment.command import short_side_for
from partprop.tracking.validation import validate

SIZES = (256, 320, 400, 480, 560, 640, 720, None)


def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    prepare(arguments.threads)
    try:
        chosen = named_sequences(arguments.davis, arguments.sequences)
        height, width = chosen[0].image(0).shape[:2]
        print(f"{len(chosen)} videos of {width}x{height} pixels; frames per second include reading")
        print("max-size     J&F      J      F  frames/s")
        for size in SIZES:
            segmenter = Segmenter(short_side=size and short_side_for(size, (height, width)))
            scores, seconds = validate(segmenter.network, segmenter.settings, chosen, None)
            values = "  ".join(f"{scores[name]:.3f}" for name in ("J&F", "J", "F"))
            print(f"{size or 'none':>8}   {values}  {1 / seconds:8.1f}", flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
