import pytest
import torch
import torch.nn.functional as F

from bench3d.contracts import ImageBatch, Model
from bench3d.errors import Bench3DError
from bench3d.features.backbone import DenseBackbone, full_precision, resize_images
from bench3d.features.extract import Extractor, extract
from bench3d.features.settings import InputSettings
from bench3d.geometry.pixels import PixelGeometry


def batch_of(count, side=32):
    images = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    geometry = tuple(PixelGeometry.identity((side, side)) for _ in range(count))
    return ImageBatch(images, torch.ones(count, 1, side, side), geometry, tuple(map(str, range(count))), "car")


def pooled(images):
    return F.avg_pool2d(images, 8)


class Small(DenseBackbone):
    """Has room for `room` images and says so as torch does."""

    def __init__(self, room, error):
        super().__init__(pooled, patch=8, settings=InputSettings(grid=4))
        self.room, self.error, self.tried = room, error, []

    def features(self, batch):
        self.tried.append(len(batch))
        assert batch.category == "car"
        if len(batch) > self.room:
            raise self.error
        return super().features(batch)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_memory_that_runs_out_halves_the_batch_and_changes_nothing(error):
    model = Small(room=2, error=error)
    extractor = Extractor(model)
    whole = extract(DenseBackbone(pooled, patch=8, settings=InputSettings(grid=4)), batch_of(7))[0]
    split = extractor(batch_of(7))[0]
    assert torch.equal(whole.map.values, split.map.values)
    assert whole.map.geometry == split.map.geometry
    # 7 fails, 3 fails, then ones: found once, remembered after.
    assert model.tried == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    model.tried.clear()
    extractor(batch_of(2))
    assert model.tried == [1, 1]


def test_other_errors_pass_and_one_image_too_many_is_said():
    with pytest.raises(RuntimeError, match="shape mismatch"):
        extract(Small(0, RuntimeError("shape mismatch")), batch_of(2))
    with pytest.raises(Bench3DError, match="single 32x32 image"):
        extract(Small(0, torch.OutOfMemoryError("CUDA out of memory")), batch_of(2))


def test_features_can_enter_an_adapters_graph():
    values = extract(Small(9, MemoryError()), batch_of(2))[0].map.values
    assert not values.requires_grad
    weight = torch.ones(1, requires_grad=True)
    (values * weight).sum().backward()
    assert weight.grad.item() == pytest.approx(values.sum().item(), rel=1e-5)


def test_full_precision_is_on_inside_and_undone_outside():
    seen = {}

    class Nosy(Model):
        def features(self, batch):
            seen["matmul"] = torch.get_float32_matmul_precision()
            seen["conv"] = torch.backends.cudnn.allow_tf32
            seen["type"] = (batch.images[0, 0] @ batch.images[0, 0]).dtype
            raise ValueError

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(ValueError), torch.autocast("cpu", dtype=torch.bfloat16):
            extract(Nosy(), batch_of(1))
        assert seen == {"matmul": "highest", "conv": False, "type": torch.float32}
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    with full_precision():
        assert torch.backends.cudnn.allow_tf32 is False


def test_resizing_keeps_the_edges():
    ramp = torch.linspace(0.5, 63.5, 64)[None, None, None].expand(1, 3, 64, 64) / 64
    small = resize_images(ramp, (16, 64))
    # Cell k of 4 pixels is centred on 4k + 2; the outermost ones feel the border.
    assert torch.allclose(small[0, 0, 0, 1:-1] * 64, torch.arange(1, 15) * 4.0 + 2.0, atol=1e-3)
    rough = resize_images(ramp, (16, 64), "unsmoothed")
    assert torch.equal(rough, F.interpolate(ramp, size=(64, 16), mode="bilinear", align_corners=False))
    assert resize_images(ramp, (64, 64)) is ramp
