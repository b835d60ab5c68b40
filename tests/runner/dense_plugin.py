"""A task on dense features, a data set without categories, and another layout that the task accepts."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bench3d.contracts import BackboneRegistration, DatasetRegistration, Protocol, TaskRegistration
from bench3d.plugins import hookimpl

ENCODED: list = []
OPTIMUM = 2  # the layer whose features are right


class TaskSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    split: str = "test"


@hookimpl
def bench3d_register():
    me = "dense_plugin"
    return [
        BackboneRegistration(
            name="layered", summary="", factory=f"{me}:create_backbone",
            settings="bench3d.features.settings:BackboneSettings",
        ),
        DatasetRegistration(
            name="official", summary="", factory=f"{me}:Folder", folder="official", provides=("pictures",),
            how_to_get="Ask around.",
        ),
        DatasetRegistration(
            name="captured", summary="", factory=f"{me}:Folder", folder="captured", provides=("pictures",),
            recognise=f"{me}:recognise",
        ),
        TaskRegistration(
            name="brightness", summary="", factory=f"{me}:create_task", settings=f"{me}:TaskSettings",
            requires=("features",), dataset="official", accepts="pictures", headline="error",
            validation={"split": "val"}, protocols=(Protocol(name="small", backbone={"grid": 2}),),
        ),
    ]  # fmt: skip


def recognise(folder):
    return (folder / "capture.txt").is_file()


class Folder:
    synthetic = False

    def __init__(self, root, settings):
        self.root = Path(root)

    def fingerprint(self, category):
        assert category == "all"
        return hashlib.sha256(b"".join(p.read_bytes() for p in sorted(self.root.glob("*/*.png")))).hexdigest()


class Sample:
    def __init__(self, path):
        self.id, self.path = path.stem, path


def create_backbone(weights, settings, device):
    import torch

    from bench3d.features.backbone import DenseBackbone

    class Net(torch.nn.Module):
        """Means of cells of 8 pixels, off by the distance of the layer from the right one."""

        def __init__(self, layer):
            super().__init__()
            self.off = torch.nn.Parameter(torch.tensor(0.1 * abs(layer - OPTIMUM)))

        def forward(self, images):
            ENCODED.append(len(images))
            return torch.nn.functional.avg_pool2d(images, 8) + self.off

    layer = 3 if settings.layer is None else settings.layer
    return DenseBackbone(Net(layer), patch=8, settings=settings, device=device, facts={"layers": 4, "layer": layer})


def create_task(settings, protocol):
    from bench3d.contracts import ImageRequest, MetricSpec, Task
    from bench3d.data.images import load_rgb

    class Brightness(Task):
        metrics = (MetricSpec(name="error", value="error", reduce="mean", unit="", higher_is_better=False),)

        def open(self, session):
            self.encoder = session.encoder

        def samples(self, dataset, category, limit):
            return [Sample(p) for p in sorted((dataset.root / settings.split).glob("*.png"))][:limit]

        def images(self, samples):
            return [ImageRequest(s.path) for s in samples]

        def prepare(self, model, category, source):
            return

        def evaluate(self, model, samples, device):
            values = []
            for sample in samples:
                for _ in range(3):  # asked for three times, encoded once
                    (found,) = self.encoder.maps(ImageRequest(sample.path))
                assert found.map.values.shape[2:] == (2, 2)
                true = load_rgb(sample.path).mean() / 255
                error = abs(float(found.map.values.mean()) - true)
                values.append({"id": sample.id, "category": "all", "cluster": sample.id, "error": error})
            return values

        def notes(self):
            return ["Only brightness."]

    return Brightness()
