"""The tasks multiview-equivariance and mvimgnet-equivariance: is a point's feature the same from every side?"""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import Protocol, Registration, TaskRegistration
from bench3d.plugins import hookimpl

PAPER_GRID = 80
FAST_GRID = 32


def _protocols(settings: dict[str, object]) -> tuple[Protocol, ...]:
    """The protocols of one data set, whose own `settings` all of them share."""
    paper: dict[str, object] = {"grid": PAPER_GRID}
    return (
        Protocol(
            name="paper",
            summary="the ICLR'25 paper's, as far as it says: all ordered pairs, 80x80 cells, whole image searched",
            settings=settings,
            backbone=paper,
        ),
        Protocol(
            name="paper-mask",
            summary="the same, only the object's mask of the target is searched (the published numbers look like it)",
            settings=settings | {"search": "mask"},
            backbone=paper,
        ),
        Protocol(
            name="grid32",
            summary="a fast one: 32x32 cells, at most 1000 queries a pair, every 4th pixel searched",
            settings=settings | {"max_queries": 1000, "search_stride": 4},
            backbone={"grid": FAST_GRID},
        ),
    )


def _task(name: str, summary: str, dataset: str, settings: dict[str, object], citation: str) -> TaskRegistration:
    return TaskRegistration(
        name=name,
        summary=summary,
        factory="bench3d_plugins.multiview_equivariance.task:create",
        settings="bench3d_plugins.multiview_equivariance.settings:EquivarianceSettings",
        requires=("features",),
        dataset=dataset,
        accepts="view-sets",
        headline="APE",
        aspect="equivariance",
        protocols=_protocols(settings),
        licence="Apache-2.0",
        citation=f"You et al., Multiview Equivariance Improves 3D Correspondence Understanding, ICLR 2025; {citation}",
    )


@hookimpl
def bench3d_register() -> list[Registration]:
    """One task per data set of the paper; both take any folder of posed views."""
    return [
        _task(
            "multiview-equivariance",
            "Same surface point, other view: pixel error and PCDP on 42 views of Objaverse objects",
            "objaverse-renderings",
            {},
            "Deitke et al., Objaverse, CVPR 2023",
        ),
        _task(
            "mvimgnet-equivariance",
            "Same surface point, other view: pixel error and PCDP on videos of real objects",
            "mvimgnet",
            {"query_region": "image"},
            "Yu et al., MVImgNet, CVPR 2023",
        ),
    ]


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.multiview_equivariance.estimate import estimate

    return estimate(plan)
