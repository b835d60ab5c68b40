"""Principal directions that a fit takes from its training views: of the latents, for walks, and of raw features."""

from __future__ import annotations

import numpy as np
import torch

from bench3d.features.pca import principal_components
from bench3d.fit.draws import derived_generator
from bench3d.morphable.pool import ViewPool
from bench3d_plugins.common3d.network import Common3DNetwork

MOST_DIRECTIONS = 8
RAW_VIEWS, RAW_CELLS = 600, 64
"""Random views, and random cells of each, from which the directions of raw features are taken."""


@torch.no_grad()
def set_latent_variation(network: Common3DNetwork, pool: ViewPool) -> None:
    """Keeps mean, principal directions and standard deviations of the training latents in a network in eval mode.

    One view of each frame (its first, as it was cropped and coloured for training) has a latent; those of a sequence
    are averaged before, because a sequence shows one instance and what is left within it is the view. At most
    `MOST_DIRECTIONS`, fewer than there are sequences; none for one sequence. A rigid network is left as it is.
    """
    if network.latent_encoder is None:
        return
    count = 1 + max(sequence for _, sequence in pool.frames)
    sums, frames = torch.zeros(count, network.settings.latent_dim, dtype=torch.float64), torch.zeros(count)
    for start in range(0, len(pool.frames), pool.settings.batch):
        views = pool.batch(range(start, min(start + pool.settings.batch, len(pool.frames))), 0, True)
        assert views.features is not None
        latents = network.latent(views.features)
        assert latents is not None
        places = torch.tensor(views.sequences)
        sums.index_add_(0, places, latents.double().cpu())
        frames.index_add_(0, places, torch.ones(len(places)))
    rows = (sums / frames[:, None])[frames > 0].numpy()
    basis = principal_components([rows], MOST_DIRECTIONS)
    kept = basis.variance[: len(rows) - 1] > 0
    deviations = np.sqrt(basis.variance * len(rows) / max(1, len(rows) - 1))
    network.set_variation(
        torch.from_numpy(basis.mean),
        torch.from_numpy(basis.components[: len(kept)][kept]),
        torch.from_numpy(deviations[: len(kept)][kept]),
    )


def set_raw_basis(network: Common3DNetwork, pool: ViewPool) -> None:
    """Principal directions of the training features, where `raw_channels` asks for fewer than there are."""
    if network.adapter is not None or network.dim == network.channels:
        return
    generator = derived_generator(pool.seed, "raw basis")
    order = torch.randperm(len(pool), generator=generator)[:RAW_VIEWS].tolist()
    parts = []
    for start in range(0, len(order), pool.settings.batch):
        features = pool.batch(order[start : start + pool.settings.batch], 0, True).features
        assert features is not None
        cells = features.flatten(2).permute(0, 2, 1).cpu()
        chosen = torch.randint(cells.shape[1], (RAW_CELLS,), generator=generator)
        parts.append(cells[:, chosen].flatten(0, 1).numpy())
    basis = principal_components(parts, network.dim)
    network.set_raw_basis(torch.from_numpy(basis.mean), torch.from_numpy(basis.components))
