"""Features: the input of a network's classifier."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ssl_video.algorithms.parts.features import FeatureMaps, Features, classifier
from ssl_video.errors import InputError


class _Frames(nn.Module):
    """A network with a convolution for a classifier, or one that passes frames as images to a linear one."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, clip: Tensor) -> Tensor:
        """Clip (N, 2, T, 1, 1) -> logits (N, 3)."""
        if isinstance(self.layer, nn.Conv3d):
            out: Tensor = self.layer(clip).mean((2, 3, 4))
        else:
            out = (
                self.layer(clip[..., 0, 0].transpose(1, 2).flatten(0, 1))
                .unflatten(0, (len(clip), -1))
                .mean(1)
            )
        return out


@pytest.mark.parametrize("layer", [nn.Conv3d(2, 3, 1), nn.Linear(2, 3)], ids=["places", "frames"])
def test_features_are_the_mean_of_what_the_classifier_is_given(layer: nn.Module) -> None:
    """Two clips of two frames: channels (1, 10), (3, 30) give (2, 20); (5, 50), (5, 70) give (5, 60)."""
    model = _Frames(layer)
    clip = torch.tensor([[[1.0, 3.0], [10.0, 30.0]], [[5.0, 5.0], [50.0, 70.0]]])[..., None, None]
    features = Features(model, num_classes=3)
    assert features.size == 2
    model(clip)
    with features.captured() as last:
        with torch.no_grad():
            model(torch.zeros_like(clip))
        logits = model(clip.requires_grad_())
    model(clip * 0)
    assert logits.shape == (2, 3)
    assert last(2).tolist() == [[2, 20], [5, 60]]
    assert last(1).tolist() == [[5, 60]]
    last(2).sum().backward()
    assert clip.grad is not None
    assert (clip.grad == 0.5).all()


def test_hooks_of_the_classifier_do_not_change_its_features() -> None:
    """Such as dropout before the head, which is there first."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 3))
    model[1].register_forward_pre_hook(lambda _, inputs: (inputs[0] * 0,))
    features = Features(model, num_classes=3)
    with features.captured() as last:
        model(torch.ones(4, 2))
    assert last(4).tolist() == [[1, 1]] * 4


def test_maps_are_the_outputs_of_the_stages_that_a_network_names() -> None:
    model: Any = nn.Sequential(nn.Conv3d(1, 2, 1), nn.ReLU(), nn.AvgPool3d(2), nn.Flatten(), nn.Linear(2, 3))
    assert FeatureMaps(model).stages == ()
    model.stages = ("1", "2")
    maps, clip = FeatureMaps(model), torch.randn(4, 1, 2, 2, 2)
    model(clip)
    with maps.captured() as found:
        model(clip)
    model(clip)
    assert len(found) == 2
    assert torch.equal(found[0], model[:2](clip))
    assert torch.equal(found[1], model[:3](clip))
    found[1].sum().backward()
    assert model[0].weight.grad.any()
    model.stages = ("body.1",)
    with pytest.raises(InputError, match=r"Sequential\.stages names 'body\.1', which is no module"):
        FeatureMaps(model)


def test_the_classifier_is_the_last_layer_with_an_output_a_class() -> None:
    wanted = nn.Linear(4, 3)
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), wanted, nn.LayerNorm(3), nn.Linear(3, 5))
    assert classifier(model, 3) is wanted
    with pytest.raises(InputError, match="Sequential has no linear layer or convolution with 7 outputs"):
        classifier(model, 7)
