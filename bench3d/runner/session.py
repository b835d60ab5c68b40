"""What a task is given for one run: the model, and an encoder that computes each image's features once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench3d.contracts import Progress, Session
from bench3d.features.cache import FeatureCache
from bench3d.features.encoder import FeatureEncoder
from bench3d.records import identity_hash
from bench3d.runner.fits import Fitted
from bench3d.runner.plan import RunPlan


@contextmanager
def open_session(plan: RunPlan, fitted: Fitted, device: str, progress: Progress) -> Iterator[Session]:
    """The session of a run; leaving it writes what the feature cache still holds back."""
    digests = {f"{job.component}/{job.category or 'all'}": artifact.digest for job, artifact in fitted.artifacts}
    salt = identity_hash({"backbone": plan.resolved.backbone_identity(), "fits": digests})
    with FeatureEncoder(
        fitted.model,
        device=device,
        batch=plan.spec.batch,
        workers=plan.spec.workers,
        cache=FeatureCache() if plan.spec.cache else None,
        salt=salt,
    ) as encoder:
        yield Session(model=fitted.model, encoder=encoder, device=device, progress=progress)
