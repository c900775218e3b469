"""The parameters of params.yaml: types, ranges and meaning. An invalid value is reported on one line with its key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from partprop.base.errors import UserError
from partprop.base.yaml_files import read_yaml

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**44)]  # stages multiply it by up to a million, and PyTorch takes 64 bits
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Source = Annotated[str, Field(min_length=1)]


def _not_none(source: str) -> str:
    if source == "none":
        raise ValueError("only the static images may be none; name a source")
    return source


def _not_official(source: str) -> str:
    if source == "official":
        raise ValueError("no official host exists; name a folder, an archive or a mirror, or none")
    return source


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


class Section(BaseModel):
    """A section of params.yaml. Read-only; unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CocoData(Section):
    """COCO instance segmentation.

    source: synthetic, official, a folder, an archive, or the base URL of a mirror.
    images: how many to download from the official host, chosen at random; 0: all. Other sources are taken whole.
    """

    source: Annotated[Source, AfterValidator(_not_none)]
    images: Whole


class DavisData(Section):
    """DAVIS videos.

    source: as for COCO. year: selects the split files; 2016 merges all objects of a video into one.
    """

    source: Annotated[Source, AfterValidator(_not_none)]
    year: Literal[2016, 2017]


class StaticData(Section):
    """Still images with masks side by side. source: synthetic, none, a folder, an archive, or a mirror's base URL."""

    source: Annotated[Source, AfterValidator(_not_official)]


class SyntheticData(Section):
    """Data to render if a source is `synthetic`.

    width, height: pixels. frames: per video. Others: numbers of images and videos; still_images: of the static set.
    """

    seed: Seed
    width: Annotated[int, Field(ge=64)]
    height: Annotated[int, Field(ge=64)]
    train_images: Count
    val_images: Count
    still_images: Count
    train_videos: Count
    val_videos: Count
    frames: Annotated[int, Field(ge=8)]


class Data(Section):
    """The data sets."""

    coco: CocoData
    davis: DavisData
    static: StaticData
    synthetic: SyntheticData


class Backbone(Section):
    """The pre-trained backbone. weights: `imagenet`, or a file of backbone weights."""

    weights: Source


class Model(Section):
    """The network, the same in every stage that builds it.

    backbone: EfficientNet-Lite0 or ResNet-50-v2.
    fpn_channels: channels of the feature pyramid.
    key_channels, value_channels: of the keys by which pixels are matched, and of the values remembered with a mask.
    roi_size, training_roi_size: side of a part's RoIAlign in cells, at inference and in training.
    learnt_keys: keys go on learning with the tracker; false: they are fixed once pre-trained, better with few videos.
    pixel_correlation: match pixels; false (ablation): parts only correct the previous mask in place.
    correlation_filter: fit a filter to the reference frame; false (ablation): read the reference by attention only.
    previous_frame: also compare with the previous frame; false (ablation): with the reference frame only.
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
    """Pre-training of backbone, feature pyramid and keys on still images: Mask R-CNN, and matching of two views.

    steps: number of updates; 0 leaves the pyramid above the backbone at its random initial weights.
    batch: images per step for Mask R-CNN; 0: none, and the pyramid above the backbone learns nothing.
    image_size: longer side of such an image in pixels.
    pairs: pairs of views per step for matching; 0: none, and the keys stay those of the backbone.
    crop: side of a view in pixels.
    ema_decay: of the moving average of the weights, which is measured and saved.
    lr: peak learning rate, reached after warmup_steps; then cosine decay to 1 %.
    backbone_lr_scale: the backbone's learning rate as a fraction of lr; 0 freezes the backbone.
    weight_decay: of AdamW; not on biases and normalisation layers.
    log_every, checkpoint_every: in steps.
    threads: of PyTorch; results differ between counts in the last digits.
    """

    steps: Whole
    batch: Whole
    # torchvision infers the strides of P2 to P5 from the first batch, wrongly for smaller images, which it pads
    image_size: Annotated[int, Field(ge=128, multiple_of=32)]
    pairs: Whole
    crop: Annotated[int, Field(ge=64, multiple_of=32)]
    lr: Positive
    backbone_lr_scale: Share
    weight_decay: Weight
    warmup_steps: Whole
    ema_decay: Share
    log_every: Count
    checkpoint_every: Count
    threads: Count

    @model_validator(mode="after")
    def _has_a_task(self) -> Self:
        if self.steps and not self.batch and not self.pairs:
            raise ValueError("batch and pairs are both 0; set steps to 0 for no pre-training")
        return self


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


class StillWeights(Section):
    """Sampling weight of an object of each set of still images; 0 leaves the set out."""

    coco: Weight
    static: Weight


class TrainTracking(Section):
    """Training of part tracking, pixel correlation and mask propagation on clips.

    held_out: training sequences that are never trained on; the stage validate measures them.
    held_out_categories: categories of still images that no training stage sees, FPN pre-training included; the stage
    validate measures objects of these. Names are those of COCO's annotation files and of the static set's index.csv.
    batch: clips per step.
    crop: side of a clip's frames in pixels.
    frames, late_frames, late_share: frames of a clip, the reference included; late_frames in the last late_share of the
    steps, so that errors add up as in use.
    still_share: fraction of clips made from still images instead of videos.
    still_weights: sampling weights of COCO's and the static set's objects, in both training stages.
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
    held_out_categories: list[Source]
    steps: Count
    batch: Count
    crop: Annotated[int, Field(ge=64, multiple_of=32)]
    frames: Annotated[int, Field(ge=3)]
    late_frames: Annotated[int, Field(ge=3)]
    late_share: Share
    still_share: Share
    still_weights: StillWeights
    paste_share: Share
    max_gap: Count
    parts: Whole
    lr: Positive
    backbone_lr_scale: Share
    weight_decay: Weight
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
            raise ValueError("held_out lists a sequence twice")
        if len(set(self.held_out_categories)) < len(self.held_out_categories):
            raise ValueError("held_out_categories lists a category twice")
        return self


class Infer(Section):
    """Inference on the validation split.

    shards: 0, 1, …: one stage infer@K for each, which segments every len(shards)-th sequence. threads: of each shard.
    """

    shards: Annotated[list[Whole], Field(min_length=1)]
    threads: Count

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        if self.shards != list(range(len(self.shards))):
            raise ValueError("shards must be 0, 1, … without gaps, such as [0, 1]")
        return self


class Baselines(Section):
    """Label propagation with ImageNet features, the strongest baseline (Vondrick et al., ECCV 2018).

    short_side: shorter side of the resized frames in pixels.
    context_frames: previous frames that labels are taken from, besides the first frame.
    radius: largest displacement in feature cells (8 pixels), along each axis.
    neighbours: most similar cells that vote, weighted by a softmax with this temperature.
    """

    short_side: Annotated[int, Field(ge=64)]
    context_frames: Count
    radius: Count
    neighbours: Count
    temperature: Positive
    threads: Count


class Ablations(Section):
    """The short schedule of scripts/ablations.py, which no stage reads.

    steps, held_out, threads: replace those of train_tracking. jobs: variants that run in parallel.
    """

    steps: Count
    held_out: Annotated[list[Name], Field(min_length=1)]
    jobs: Count
    threads: Count


class Params(Section):
    """All parameters.

    preset: the name that reports show. seed: of training; the data have their own, data.synthetic.seed.
    """

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
        UserError: the file is missing or not a YAML mapping, or a key is unknown, missing or invalid.
    """
    return parse_params(read_yaml(path), path)


def parse_params(content: Mapping[str, Any], path: Path) -> Params:
    """Validate the content of a params.yaml that was read from `path`.

    Raises:
        UserError: at least one key is invalid; the line names them all.
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
