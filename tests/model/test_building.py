"""Networks from weights on disk."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from partprop.base.errors import UserError
from partprop.model.building import build_network, load_network
from partprop.model.network import Network


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build_network("lite0", 16, 16, 8, 16)


def test_weights_survive_the_disk(network: Network, tmp_path: Path):
    file = tmp_path / "tracker.safetensors"
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, file)
    loaded = load_network(file, build_network("lite0", 16, 16, 8, 16))
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(loaded.encode(images).keys, network.encode(images).keys)


@pytest.mark.parametrize("content", [None, b"no weights"])
def test_bad_weights_are_one_line(content: bytes | None, tmp_path: Path):
    file = tmp_path / "tracker.safetensors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"tracker\.safetensors"):
        load_network(file, build_network("lite0", 16, 16, 8, 16))


def test_other_network_is_one_line(network: Network, tmp_path: Path):
    file = tmp_path / "tracker.safetensors"
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, file)
    with pytest.raises(UserError, match="another network"):
        load_network(file, build_network("lite0", 24, 16, 8, 16))
