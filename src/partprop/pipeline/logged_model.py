"""Logging networks as MLflow models."""

import copy
from collections.abc import Sequence

import mlflow.pytorch
import torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec


def log_model(name: str, module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> None:
    """Log a network to the active run, as an exported graph with its signature. See `partprop.pipeline.runs.Run.model`.

    The exported graph is for the CPU, whatever device the network is on.
    """
    module, inputs = copy.deepcopy(module).cpu(), [tensor.cpu() for tensor in inputs]
    with torch.no_grad():
        outputs = module(*inputs)
    outputs = (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)
    mlflow.pytorch.log_model(
        module,
        name=name,
        signature=ModelSignature(_schema("input", inputs), _schema("output", outputs)),
        input_example=[tensor.numpy() for tensor in inputs],
        serialization_format="pt2",  # unlike a pickle, it cannot run code when it is loaded
        # Without this, MLflow would load the model in another process to find its requirements.
        pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}"],
    )


def _schema(prefix: str, tensors: Sequence[torch.Tensor]) -> Schema:
    return Schema(
        [
            TensorSpec(tensor.detach().numpy().dtype, (-1, *tensor.shape[1:]), f"{prefix}_{index}")
            for index, tensor in enumerate(tensors)
        ]
    )
