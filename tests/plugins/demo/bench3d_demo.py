"""A third-party backbone: the mean grey of each cell of 16 x 16 pixels."""

from bench3d.contracts import BackboneRegistration
from bench3d.plugins import hookimpl


def create(weights, settings, device):
    """The model; torch is imported here, when it is used, and not by `bench3d list`."""
    import torch.nn.functional as F

    from bench3d.features.backbone import DenseBackbone
    from bench3d.features.weights import no_weights

    no_weights(weights, "demo-grey")

    def net(images):
        return F.avg_pool2d(images.mean(1, keepdim=True), 16)

    return DenseBackbone(net, patch=16, settings=settings, device=device)


@hookimpl
def bench3d_register():
    """One backbone."""
    own = {"factory": "bench3d_demo:create", "settings": "bench3d.features.settings:InputSettings"}
    return [BackboneRegistration(name="demo-grey", summary="Mean grey per cell", patch=16, dim=1, licence="MIT", **own)]
