"""The whole network: shapes, gradients, the frame step, and propagation through a still scene."""

from dataclasses import fields
from pathlib import Path

import pytest
import torch

from partprop.base.errors import UserError
from partprop.model.backbone.imagenet import build_backbone, imagenet_weights, initialise_backbone, load_backbone
from partprop.model.backbone.weights import save_weights
from partprop.model.building import build_network
from partprop.model.correlation import Past
from partprop.model.evidence import Correlated
from partprop.model.network import Network, PlacedParts
from partprop.model.windows import Window, whole_window
from partprop.training.tracker.losses import FrameTargets, frame_losses, total_loss

SIZE, PARTS = 96, 2


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build_network("lite0", 16, 16, 8, 16)


def video() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three equal frames of noise with a bright square, its mask and the parts' boxes."""
    generator = torch.Generator().manual_seed(1)
    frame = torch.rand(3, SIZE, SIZE, generator=generator) - 0.5
    mask = torch.zeros(1, SIZE, SIZE)
    mask[:, 24:64, 32:72] = 1
    frame = (frame + mask).expand(1, 3, 3, SIZE, SIZE)
    boxes = torch.tensor([[32.0, 24, 72, 64], [32, 24, 56, 48]]).expand(1, 3, PARTS, 4)
    return frame, mask[None], boxes


def losses_of(network: Network) -> torch.Tensor:
    images, mask, boxes = video()
    outputs = network(images, mask, boxes, boxes, torch.ones(1, 3))
    targets = FrameTargets(mask, boxes[:, 1], torch.ones(1, PARTS), boxes[:, 1], boxes[:, 1])
    return torch.stack([total_loss(frame_losses(output, targets)) for output in outputs]).mean()


def test_shapes(network: Network):
    images, mask, boxes = video()
    outputs = network(images, mask, boxes, boxes, torch.ones(1, 3))
    assert len(outputs) == 2
    for output in outputs:
        assert output.masks.shape == (1, PARTS, 1, 32, 32)
        assert output.presence.shape == (1, PARTS)
        assert output.scores.shape[:2] == (1, PARTS)
        assert output.correlation.shape == (1, 3, SIZE // 8, SIZE // 8)
        assert output.joined.shape == (1, 1, SIZE // 2, SIZE // 2)


@pytest.mark.parametrize("learnt_keys", [True, False])
def test_every_parameter_learns_except_fixed_keys(learnt_keys: bool):
    network = build_network("lite0", 16, 16, 8, 16, learnt_keys=learnt_keys)
    losses_of(network).backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    fixed = {name for name, gradient in gradients.items() if gradient is None}
    assert fixed == (set() if learnt_keys else {f"correlation.base.{level}.weight" for level in range(3)})
    assert all(torch.isfinite(gradient).all() for name, gradient in gradients.items() if name not in fixed)


def test_identical_frames_return_the_mask():
    """After a little training on a still scene the mask comes back through two frames, on parts and joined."""
    torch.manual_seed(0)
    network = build_network("lite0", 16, 16, 8, 16)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    for _ in range(40):
        optimizer.zero_grad()
        losses_of(network).backward()
        optimizer.step()
    network.eval()
    images, mask, boxes = video()
    with torch.no_grad():
        joined = network(images, mask, boxes, boxes, torch.ones(1, 3))[-1].joined[0, 0] > 0.5
    truth = torch.nn.functional.avg_pool2d(mask, 2)[0, 0] > 0.5
    assert (joined & truth).sum() / (joined | truth).sum() > 0.9


def test_blanked_memory_changes_the_prediction(network: Network):
    images, mask, boxes = video()
    with torch.no_grad():
        known = network(images, mask, boxes, boxes, torch.ones(1, 3))[0].masks
        blank = network(images, mask, boxes, boxes, torch.zeros(1, 3))[0].masks
    assert not torch.allclose(known, blank)


def correlate(
    network: Network, given: torch.Tensor, before: torch.Tensor, window: Window | None = None, radius: int | None = None
) -> Correlated:
    """Correlate the video's second frame, with the mask `given` for the memory and `before` for the previous frame."""
    images, _, _ = video()
    with torch.no_grad():
        first, second = network.encode(images[0, :2]).split(1)
        past = Past(network.memorise(first, given), network.fit_filter(first, given), first, before)
        return network.correlate(second, past, window or whole_window(second.grid), radius)


def test_a_window_is_correlated_at_its_size(network: Network):
    _, mask, _ = video()
    correlated = correlate(network, mask, mask, (slice(2, 10), slice(1, 9)))
    assert correlated.evidence.masks.shape == (1, 3, 8, 8)
    assert correlated.trust.shape == (1, 1, 8, 8)
    assert correlated.prior.shape == (1, 1, 16, 16)
    assert network.correlation.support(correlated.evidence, torch.ones(1, 1, 8, 8)).shape == (1,)


def test_the_local_read_out_uses_the_previous_mask_within_its_radius(network: Network):
    _, mask, _ = video()
    window, radius = (slice(4, 8), slice(3, 8)), 2

    def local(before: torch.Tensor) -> torch.Tensor:
        return correlate(network, mask, before, window, radius).evidence.locally.mask

    within = torch.zeros_like(mask)
    within[..., 8 * (4 - radius) : 8 * (8 + radius), 8 * (3 - radius) : 8 * (8 + radius)] = 1
    near, everywhere, nowhere = local(within), local(torch.ones_like(mask)), local(torch.zeros_like(mask))
    torch.testing.assert_close(near, everywhere, atol=0, rtol=0)
    assert not torch.allclose(near, nowhere)


def test_a_stationary_prior_is_the_previous_mask_where_it_was():
    network = build_network("lite0", 16, 16, 8, 16, pixel_correlation=False)
    _, mask, _ = video()
    window = (slice(2, 10), slice(1, 9))
    prior = correlate(network, torch.zeros_like(mask), mask, window).prior
    truth = torch.nn.functional.avg_pool2d(mask, 4)[:, :, 4:20, 2:18]
    torch.testing.assert_close(prior.sigmoid(), truth.clamp(0.02, 0.98))
    assert not correlate(network, mask, torch.zeros_like(mask), window).prior.any()


def test_without_a_filter_attention_takes_its_place():
    _, mask, _ = video()
    evidence = []
    for present in (True, False):
        torch.manual_seed(0)
        network = build_network("lite0", 16, 16, 8, 16, correlation_filter=present)
        evidence.append(correlate(network, mask, mask).evidence)
    with_filter, without = evidence
    torch.testing.assert_close(with_filter.globally.mask, without.globally.mask)
    assert torch.equal(without.filtered, without.globally.mask)
    assert not torch.allclose(with_filter.filtered, with_filter.globally.mask, atol=0.05)


def test_a_reference_only_network_ignores_the_previous_mask():
    _, mask, _ = video()
    for alone in (True, False):
        torch.manual_seed(0)
        network = build_network("lite0", 16, 16, 8, 16, previous_frame=not alone)
        first, second = (correlate(network, mask, before) for before in (mask, mask.flip(3)))
        assert torch.equal(first.prior, second.prior) == alone
        assert torch.equal(first.previous_mask, second.previous_mask) == alone


def test_the_previous_mask_is_cropped_at_the_previous_boxes(network: Network):
    """Not at the boxes around which the tracker searches."""
    images, mask, boxes = video()
    elsewhere = boxes.clone()
    elsewhere[:, 1] += 8
    with torch.no_grad():
        second = network(images, mask, boxes, boxes, torch.ones(1, 3))[1].masks
        searched = network(images, mask, boxes, boxes + 8, torch.ones(1, 3))[1].masks
        decoded = network(images, mask, elsewhere, boxes, torch.ones(1, 3))[1].masks
    assert torch.equal(second, searched)
    assert not torch.allclose(second, decoded)


def test_imagenet_weights_from_the_package(tmp_path: Path):
    backbone = initialise_backbone("lite0", imagenet_weights("lite0", "imagenet"))
    save_weights(backbone, tmp_path / "backbone.safetensors")
    loaded = load_backbone(tmp_path / "backbone.safetensors", "lite0")
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        for ours, theirs in zip(loaded(image), backbone(image), strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("name", "channels"), [("lite0", [24, 40, 112, 320]), ("resnet50v2", [256, 512, 1024, 2048])])
def test_backbones_give_four_strides(name: str, channels: list[int]):
    with torch.no_grad():
        levels = build_backbone(name)(torch.zeros(1, 3, 64, 96))
    assert [level.shape[1] for level in levels] == channels
    assert [tuple(level.shape[2:]) for level in levels] == [(64 // s, 96 // s) for s in (4, 8, 16, 32)]


@pytest.mark.parametrize("size", [(64, 64), (60, 107), (33, 34)])
def test_the_backbone_is_timms(size: tuple[int, int]):
    import timm

    weights = imagenet_weights("lite0", "imagenet")
    plain = timm.create_model("tf_efficientnet_lite0", features_only=True, pretrained=False, out_indices=(1, 2, 3, 4))
    plain.load_state_dict({name: value for name, value in weights.state.items() if name in plain.state_dict()})
    folded = initialise_backbone("lite0", weights)
    image = torch.rand(1, 3, *size) * 2 - 1
    with torch.no_grad():
        for ours, theirs in zip(folded(image), plain.eval()(image), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_weights_of_another_backbone_are_one_line():
    with pytest.raises(UserError, match="does not fit the backbone resnet50v2"):
        initialise_backbone("resnet50v2", imagenet_weights("lite0", "imagenet"))


def test_missing_weights_file_is_one_line():
    with pytest.raises(UserError, match=r"backbone\.weights: /nowhere\.pth: no such file"):
        imagenet_weights("lite0", "/nowhere.pth")


def test_trust_hides_matches_from_the_decoder_at_inference_only(network: Network):
    images, mask, boxes = video()
    correlated = correlate(network, mask, mask)
    reference, current = network.encode(images[0, :2]).split(1)
    guidance = network.guide(reference, mask, boxes[:, 0])

    def logits(trust: float, training: bool) -> torch.Tensor:
        network.train(training)
        given = correlated._replace(trust=torch.full_like(correlated.trust, trust))
        parts = PlacedParts(boxes[:, 1], boxes[:, 0], guidance, torch.ones(1, PARTS))
        return network.decode(current, given, parts).logits

    with torch.no_grad():
        torch.testing.assert_close(logits(0, training=True), logits(1, training=True))
        torch.testing.assert_close(logits(1, training=False), logits(1, training=True))
        assert not torch.equal(logits(0, training=False), logits(1, training=False))
    network.train()


def test_parts_decoded_in_groups_are_those_decoded_at_once(network: Network):
    images, mask, boxes = video()
    correlated = correlate(network, mask, mask)
    with torch.no_grad():
        reference, current = network.encode(images[0, :2]).split(1)
        guidance = network.guide(reference, mask, boxes[:, 0])
        parts = PlacedParts(boxes[:, 1], boxes[:, 0], guidance, torch.ones(1, PARTS))
        size = network.decoder.roi_size
        at_once = network.decode(current, correlated, parts)
        grouped = network.decode(current, correlated, parts, [(slice(0, 1), size), (slice(1, 2), size)])
        coarser = network.decode(current, correlated, parts, [(slice(0, 1), size), (slice(1, 2), size // 2)])
    torch.testing.assert_close(grouped.logits, at_once.logits)
    torch.testing.assert_close(grouped.probability, at_once.probability)
    assert coarser.logits.shape == at_once.logits.shape
    assert not torch.allclose(coarser.logits[:, 1], at_once.logits[:, 1])


def test_features_of_a_window_are_padded_to_the_frame(network: Network):
    torch.manual_seed(3)
    with torch.no_grad():
        part = network.encode(torch.rand(1, 3, 64, 96))
    placed = part.padded_to_frame((slice(1, 3), slice(2, 5)), (4, 6))
    for field in fields(part):
        ours, theirs = getattr(placed, field.name), getattr(part, field.name)
        side = theirs.shape[2] // 2
        assert ours.shape == (1, theirs.shape[1], 4 * side, 6 * side)
        torch.testing.assert_close(ours[:, :, side : 3 * side, 2 * side : 5 * side], theirs)
        torch.testing.assert_close(ours.abs().sum(), theirs.abs().sum())
