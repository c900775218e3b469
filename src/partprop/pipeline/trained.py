"""The network that the pipeline in the current folder trained, for scripts and benchmarks."""

from partprop.base import paths
from partprop.model.building import build_network, load_network
from partprop.model.network import Network
from partprop.params import Params
from partprop.tracking.settings import Settings


def load_trained(params: Params) -> tuple[Network, Settings]:
    """Load models/tracker.safetensors for inference, with the settings of the online loop.

    Raises:
        UserError: the file is missing or damaged, or does not fit the network that `params` describes.
    """
    network = load_network(paths.TRACKER, build_network(**params.model.model_dump()))
    return network, Settings(**params.segmentation.model_dump())
