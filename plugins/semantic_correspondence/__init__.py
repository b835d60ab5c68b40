"""The tasks spair71k, pf-pascal and pf-willow: keypoint transfer between two photographs of a category."""

from __future__ import annotations

from typing import Any

from bench3d.contracts.registration import Protocol, Registration, TaskRegistration
from bench3d.plugins import hookimpl
from bench3d_plugins.semantic_correspondence.protocols import PF_PASCAL, PF_WILLOW, SPAIR71K


@hookimpl
def bench3d_register() -> list[Registration]:
    """Three tasks of one factory."""
    return [
        _task(
            "spair71k",
            "Keypoint transfer on SPair-71k: PCK by the target's box, per keypoint and per image",
            SPAIR71K,
            validation={"split": "val"},
            citation="Min et al., SPair-71k, 2019",
            url="https://cvlab.postech.ac.kr/research/SPair-71k/",
        ),
        _task(
            "pf-pascal",
            "Keypoint transfer on PF-PASCAL: PCK by the image's longer side; lists by --set data.list",
            PF_PASCAL,
            validation={"split": "val"},
            citation="Ham et al., Proposal Flow, TPAMI 2018; You et al., ICLR 2025 (lists same and different)",
            url="https://www.di.ens.fr/willow/research/proposalflow/",
        ),
        _task(
            "pf-willow",
            "Keypoint transfer on PF-WILLOW: PCK by the box around the target's keypoints",
            PF_WILLOW,
            citation="Ham et al., Proposal Flow, CVPR 2016",
            url="https://www.di.ens.fr/willow/research/proposalflow/",
        ),
    ]


def _task(name: str, summary: str, protocols: tuple[Protocol, ...], **about: Any) -> TaskRegistration:
    return TaskRegistration(
        name=name,
        summary=summary,
        factory="bench3d_plugins.semantic_correspondence.task:create",
        settings="bench3d_plugins.semantic_correspondence.settings:SemanticSettings",
        requires=("features",),
        dataset=name,
        protocols=protocols,
        headline="PCK@0.1",
        aspect="transfer",
        licence="Apache-2.0",
        **about,
    )


@hookimpl
def bench3d_estimate(plan: Any) -> dict[str, float] | None:
    """Rough; the module says where its figures come from."""
    from bench3d_plugins.semantic_correspondence.estimate import estimate

    return estimate(plan)
