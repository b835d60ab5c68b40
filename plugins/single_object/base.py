"""What tasks on single objects share: which samples, what the model sees, and the columns of every sidecar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from bench3d.contracts import Model, PoseSample, Protocol, Task
from bench3d.errors import CapabilityError
from bench3d.geometry.camera import viewpoint_angles
from bench3d_plugins.single_object.protocol import Prepared, prepare, refuse
from bench3d_plugins.single_object.settings import CropSettings

AZIMUTH_BIN = 30
Settings = TypeVar("Settings", bound=CropSettings)


class SingleObjectTask(Task, Generic[Settings]):
    """A task on crops of single posed objects. `needs` maps a capability to what it means, in words."""

    needs: Mapping[str, str]

    def __init__(self, settings: Settings, protocol: Protocol) -> None:
        self.settings = settings
        self.protocol = protocol

    def samples(self, dataset: Any, category: str, limit: int | None) -> Sequence[PoseSample]:
        """The split's samples in its order; `limit` of them evenly spread."""
        every: Sequence[PoseSample] = dataset.samples(category, self.settings.split)  # type: ignore[attr-defined]
        if limit is None or limit >= len(every):
            return every
        return [every[n * len(every) // limit] for n in range(limit)]

    def require(self, model: Model) -> None:
        """CapabilityError where the model lacks a capability, or asks for what the protocol cannot give."""
        for capability, meaning in self.needs.items():
            if capability not in model.capabilities:
                raise CapabilityError(f"This task needs a model that {meaning}.", "Add --shape-model NAME.")
        refuse(self.protocol, model.oracles)

    def prepared(self, model: Model, samples: Sequence[PoseSample]) -> Prepared:
        """The samples as the model sees them."""
        return prepare(samples, self.protocol, self.settings, model.canvas or self.settings.canvas, model.oracles)


def common_values(sample: PoseSample) -> dict[str, Any]:
    """Id, category, cluster and groups."""
    return {"id": sample.id, "category": sample.category, "cluster": sample.cluster, "groups": groups(sample)}


def groups(sample: PoseSample) -> dict[str, str]:
    """Bins: azimuth by 30 degrees, and the flags of the annotation."""
    azimuth, _, _ = viewpoint_angles(sample.cam_T_obj[:3, :3])
    centre = round(azimuth / AZIMUTH_BIN) % (360 // AZIMUTH_BIN) * AZIMUTH_BIN
    found = {"azimuth": f"{(centre - AZIMUTH_BIN // 2) % 360:03d}-{(centre + AZIMUTH_BIN // 2) % 360:03d}"}
    for name in ("truncated", "occluded", "difficult"):
        if name in sample.attributes:
            found[name] = "yes" if sample.attributes[name] else "no"
    return found


def number(value: Any) -> float | None:
    """A JSON number; None where it is not finite."""
    found = float(value)
    return found if np.isfinite(found) else None
