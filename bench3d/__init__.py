"""bench3d: a benchmark framework for the 3D-awareness of foundation-model features.

    >>> import bench3d
    >>> model = bench3d.load_backbone("dinov2")
    >>> features = model("photo.jpg")                     # (1, 384, h, w) float32
    >>> record = bench3d.run(backbone="dinov2", task="pascal3d-pose", adapter="common3d", synthetic=True)
    >>> table = bench3d.results("bench3d-results")        # a pandas DataFrame

The functions are those of `bench3d.api`, loaded when they are first asked for: importing bench3d loads nothing heavy.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bench3d import errors
    from bench3d.api.catalogue import Description, describe, list
    from bench3d.api.models import LoadedBackbone, load_backbone
    from bench3d.api.objects import Wrapped, wrap
    from bench3d.api.running import plan, run, train
    from bench3d.api.tables import load_record, results

_LAZY = {
    "Description": "bench3d.api.catalogue",
    "LoadedBackbone": "bench3d.api.models",
    "Wrapped": "bench3d.api.objects",
    "describe": "bench3d.api.catalogue",
    "errors": "",
    "list": "bench3d.api.catalogue",
    "load_backbone": "bench3d.api.models",
    "load_record": "bench3d.api.tables",
    "plan": "bench3d.api.running",
    "results": "bench3d.api.tables",
    "run": "bench3d.api.running",
    "train": "bench3d.api.running",
    "wrap": "bench3d.api.objects",
}

__all__ = [
    "Description",
    "LoadedBackbone",
    "Wrapped",
    "__version__",
    "describe",
    "errors",
    "list",
    "load_backbone",
    "load_record",
    "plan",
    "results",
    "run",
    "train",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module(_LAZY[name] or f"bench3d.{name}")
    return getattr(module, name) if _LAZY[name] else module


def __dir__() -> tuple[str, ...]:
    return tuple(__all__)
