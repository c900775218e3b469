"""Networks logged to MLflow have a signature, and load without running foreign code."""

from pathlib import Path

import mlflow
import torch

from partprop.pipeline.runs import Runs, start_run


class Correlation(torch.nn.Module):
    """A network with two inputs and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (first * second).sum(dim=1) * self.scale, first - second


def test_a_logged_network_has_a_signature_and_no_pickle(mini_params: Path) -> None:
    network, inputs = Correlation().eval(), (torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4))
    with start_run("train_tracking", {}) as log:
        log.model("network", network, inputs)
    runs = Runs(mini_params.parent)
    [run] = runs.find({"stage": "train_tracking"})
    [logged] = runs.client.search_logged_models([runs.experiment])
    assert logged.source_run_id == run.info.run_id
    files = [file.name for file in (mini_params.parent / "mlruns").rglob("*") if file.is_file()]
    assert "model.pt2" in files
    assert not [name for name in files if name.endswith((".pkl", ".pth", ".pt"))]

    signature = mlflow.models.get_model_info(logged.model_uri).signature
    assert [tuple(one.shape) for one in signature.inputs.inputs] == [(-1, 3, 4, 4)] * 2
    assert [tuple(one.shape) for one in signature.outputs.inputs] == [(-1, 4, 4), (-1, 3, 4, 4)]
    loaded = mlflow.pytorch.load_model(logged.model_uri)
    larger = (torch.rand(5, 3, 4, 4), torch.rand(5, 3, 4, 4))
    for ours, theirs in zip(network(*larger), loaded(*larger), strict=True):
        torch.testing.assert_close(ours, theirs)
