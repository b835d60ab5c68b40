"""What every fitted shape model shares: one instance a batch, and a new one where anything changed."""

from __future__ import annotations

import torch
from torch import nn

from bench3d.contracts import FeatureMap, Given, ImageBatch, Model, PoseEstimate, WeightedMap
from bench3d.geometry.pixels import PixelGeometry
from bench3d.morphable.model import MorphableModel
from bench3d.morphable.pose import Instance
from bench3d.morphable.settings import PoseSettings


class Counting(Model):
    """Mean colours of 8x8 cells; counts how often it was asked."""

    asked = 0

    def features(self, batch: ImageBatch) -> list[WeightedMap]:
        self.asked += 1
        values = nn.functional.avg_pool2d(batch.images, 8)
        return [WeightedMap(FeatureMap(values, batch.geometry))]


class Plain(MorphableModel):
    def instance_of(self, maps: torch.Tensor, category: str) -> Instance:
        corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
        faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], dtype=torch.int32)
        unit = nn.functional.normalize(maps, dim=1)
        return Instance(unit, corners.expand(len(maps), -1, -1), faces, torch.eye(4)[:, :3], torch.ones(3) / 3**0.5)


def batch(seed: int) -> ImageBatch:
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    geometry = (PixelGeometry.identity((32, 32)),)
    return ImageBatch(images, torch.ones(1, 1, 32, 32), geometry, ("a",), "car")


def model() -> Plain:
    networks = {"car": nn.Identity(), "bus": nn.Identity()}
    return Plain(Counting(), networks, PoseSettings(refine_steps=1), 32, "cpu", "plain")


def test_pose_mask_and_shape_of_a_batch_ask_the_backbone_once():
    made, one = model(), batch(0)
    camera = torch.tensor([[[40.0, 0, 16], [0, 40.0, 16], [0, 0, 1]]])
    given = Given(category="car", intrinsics=camera, translation=torch.tensor([[0.0, 0, 5]]))
    pose = made.pose(one, given)
    made.mask(one, given, pose)
    made.mask(one.to("cpu"), given, PoseEstimate(pose.rotation, pose.translation, pose.score))
    assert len(made.instances(one, given)) == 1 and made.base.asked == 1


def test_another_batch_category_or_changed_pixels_are_another_instance():
    made, one = model(), batch(0)
    first = made.instance(one, "car")
    assert made.instance(one, "car") is first
    assert made.instance(one, "bus") is not first and made.base.asked == 2
    made.instance(batch(1), "bus")
    assert made.base.asked == 3
    second = made.instance(one, "car")
    one.images.mul_(0.5)
    one.images[:, 0] = 0
    assert not torch.equal(made.instance(one, "car").features, second.features)
