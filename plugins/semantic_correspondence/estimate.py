"""How many pairs and images a run has, and what a pair costs beside its features; no torch."""

from __future__ import annotations

from typing import Any

PAIR_SECONDS = 0.02  # of one core: the keypoints of a pair, 840 pixels
PAIRS = {"spair71k": 680, "pf-pascal": 15, "pf-willow": 90}
"""Of a category, in the official test lists: 12,234 of 18, 299 of 20, 900 of 10."""
IMAGES = 100  # of a category at most: SPair-71k has 1,800 of 18


def estimate(plan: Any) -> dict[str, float] | None:
    """The pairs of a twin are exact; each of its images is seen once, however many pairs it is in."""
    task, test = plan.resolved.task, plan.resolved.test
    if task is None or task.name not in PAIRS or test is None:
        return None
    categories = max(1, len(plan.categories))
    pairs, most = (PAIRS[task.name], IMAGES) if test.twin is None else (test.twin.pairs, test.twin.test_images)
    samples = float(pairs * categories)
    asked = samples if plan.spec.limit is None else min(samples, plan.spec.limit * categories)
    images = min(2 * asked, float(most * categories))
    return {"samples": samples, "images": images, "seconds_per_sample": PAIR_SECONDS}
