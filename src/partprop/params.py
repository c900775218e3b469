"""Typed models of params.yaml. Every bad value is one clear line with the key's path."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from partprop.base.errors import UserError

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**44)]  # a million times as much, and more, goes into PyTorch's 64 bits
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Source = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


class Section(BaseModel):
    """A mapping of params.yaml: no unknown keys, no silent conversion of types, read-only."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CocoData(Section):
    """COCO instance segmentation. `source`: synthetic, official, a folder, an archive or a mirror's base URL."""

    source: Source


class DavisData(Section):
    """DAVIS videos. `source` as for COCO; `year` picks the split files and, for 2016, one object per video."""

    source: Source
    year: Literal[2016, 2017]


class SyntheticData(Section):
    """What the generator renders where a source is `synthetic`. Lengths in pixels and frames."""

    seed: Seed
    width: Annotated[int, Field(ge=64)]
    height: Annotated[int, Field(ge=64)]
    train_images: Count
    val_images: Count
    train_videos: Count
    val_videos: Count
    frames: Annotated[int, Field(ge=8)]


class Data(Section):
    """Where images and videos come from."""

    coco: CocoData
    davis: DavisData
    synthetic: SyntheticData


class Backbone(Section):
    """Where the network starts from."""

    weights: Source = Field(description="imagenet, or a file of backbone weights")


class Model(Section):
    """The network's sizes; the same for every stage that builds it.

    fpn_channels, key_channels, value_channels: of the pyramid, of the keys by which pixels are compared, and of what is
    remembered beside a mask. roi_size, training_roi_size: cells a side of a part's RoIAlign, in use and in training.
    The switches are those of `partprop.model.network.Network`.
    """

    backbone: Literal["lite0", "resnet50v2"]
    fpn_channels: Annotated[int, Field(ge=16, multiple_of=8)]
    key_channels: Annotated[int, Field(ge=16, multiple_of=16)]
    value_channels: Annotated[int, Field(ge=4)]
    roi_size: Annotated[int, Field(ge=16, multiple_of=8)]
    training_roi_size: Annotated[int, Field(ge=16, multiple_of=8)]
    learnt_keys: bool
    pixel_correlation: bool
    correlation_filter: bool
    previous_frame: bool


class PretrainFpn(Section):
    """Mask R-CNN pre-training of the feature pyramid on COCO.

    steps: 0 leaves the pyramid random above the backbone. batch: images a step. image_size: pixels of an image's longer
    side. lr: peak of the learning rate, reached after warmup_steps; the backbone's is backbone_lr_scale times that, and
    0 freezes it. log_every, checkpoint_every: steps.
    """

    steps: Whole
    batch: Count
    image_size: Annotated[int, Field(ge=64, multiple_of=32)]
    lr: Positive
    backbone_lr_scale: Share
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    warmup_steps: Whole
    log_every: Count
    checkpoint_every: Count
    threads: Count


class Segmentation(Section):
    """Online segmentation of a video; see `partprop.tracking.settings.Settings`.

    short_side: shorter side of the resized frames in pixels; frames are enlarged by a factor of two at most.
    parts: maximum number besides the whole object. Several objects share them, with at least two for each.
    lost_score: confidence in [0, 1] below which an object counts as lost.
    memory_every: add a recent frame to the memory every N frames, replacing the last one; 0: first frame only.
    """

    short_side: Annotated[int, Field(ge=64)]
    parts: Whole
    lost_score: Share
    memory_every: Whole


class TrainTracking(Section):
    """Training of part tracking, pixel correlation and mask propagation on clips of four frames.

    held_out: training sequences that are never trained on; the stage validate measures them.
    batch: clips per step.
    crop: side of a clip's frames in pixels.
    still_share: fraction of clips made from still images instead of videos.
    paste_share: fraction of video clips with a pasted background, and of those with a pasted occluder.
    max_gap: largest distance between reference and second frame, in annotated frames, reached halfway through training.
    parts: per object, besides the whole object.
    ema_decay: of the moving average of the weights; the averaged weights are validated and saved.
    validate_every: steps between points of the validation curve, which selects no weights.
    validate_frames, validate_settings: of the curve, the first frames of each held-out sequence and how they are
    segmented. The section segmentation is not used in training, so that changing it retrains nothing.
    steps, lr, warmup_steps, backbone_lr_scale, weight_decay, log_every, checkpoint_every, threads: as in pretrain_fpn.
    """

    held_out: Annotated[list[Name], Field(min_length=1)]
    steps: Count
    batch: Count
    crop: Annotated[int, Field(ge=64, multiple_of=32)]
    still_share: Share
    paste_share: Share
    max_gap: Count
    parts: Whole
    lr: Positive
    backbone_lr_scale: Share
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    warmup_steps: Whole
    ema_decay: Share
    log_every: Count
    validate_every: Count
    validate_frames: Annotated[int, Field(ge=3)]
    validate_settings: Segmentation
    checkpoint_every: Count
    threads: Count

    @model_validator(mode="after")
    def _no_doubles(self) -> Self:
        if len(set(self.held_out)) < len(self.held_out):
            raise ValueError("held_out names a sequence twice")
        return self


class Infer(Section):
    """Inference over the dataset's validation split, in shards."""

    shards: Annotated[list[Whole], Field(min_length=1)]
    threads: Count

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        if self.shards != list(range(len(self.shards))):
            raise ValueError("shards must be the list 0, 1, … without gaps")
        return self


class Baselines(Section):
    """Label propagation with ImageNet's features: the strongest baseline's settings (Vondrick et al. 2018).

    short_side: pixels of the shorter side of resized frames. context_frames: previous frames beside the first that
    labels come from. radius: reach in cells of the features. neighbours: best matches that vote, weighed by a softmax
    of this temperature.
    """

    short_side: Annotated[int, Field(ge=64)]
    context_frames: Count
    radius: Count
    neighbours: Count
    temperature: Positive
    threads: Count


class Ablations(Section):
    """The short schedule of scripts/ablations.py, jobs variants at once, each with threads; no stage reads it."""

    steps: Count
    held_out: Annotated[list[Name], Field(min_length=1)]
    jobs: Count
    threads: Count


class Params(Section):
    """All of params.yaml."""

    preset: Name
    seed: Seed
    data: Data
    backbone: Backbone
    model: Model
    pretrain_fpn: PretrainFpn
    train_tracking: TrainTracking
    segmentation: Segmentation
    infer: Infer
    baselines: Baselines
    ablations: Ablations


def load_params(path: Path) -> Params:
    """Read and validate a params.yaml.

    Raises:
        UserError: the file is missing or no YAML mapping, or a key is unknown, missing or impossible.
    """
    return parse_params(read_yaml(path), path)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: the file is missing, unreadable, not YAML or not a mapping, or says a key twice.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; start from one of presets/, e.g. cp presets/mini.yaml {path}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); correct that") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no text in UTF-8; save it as such") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}: not valid YAML{place}; correct it there") from None
    except ValueError as error:  # such as a date that is none
        raise UserError(f"{path}: holds a value that YAML cannot read ({error}); correct it") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a mapping of keys to values; begin again from the one in Git")
    return content


def parse_params(content: Mapping[str, Any], path: Path) -> Params:
    """Validate the content of a params.yaml that came from `path`.

    Raises:
        UserError: naming every bad key, joined in one line.
    """
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise UserError(f"{path}: {problems}") from None


def _describe(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "params"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key, remove it or check its spelling"
    if problem["type"] == "missing":
        return f"{key}: missing, add it (see presets/)"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {message[0].lower()}{message[1:]}, not {problem['input']!r}"


class _Loader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice, as DVC does, where PyYAML takes the last."""

    MERGE = "tag:yaml.org,2002:merge"  # of <<, which may be there twice

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != self.MERGE]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise ValueError(f"{key} twice in one mapping, from line {node.start_mark.line + 1} on")
        return super().construct_mapping(node, deep)
