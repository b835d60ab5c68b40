"""What the embedded backbones and their files are called, and the size of a cell. No torch here."""

from __future__ import annotations

NAME = "tiny"
PATCH = 8
"""Pixels of a cell's side."""

STEPS = (100, 300, 1000)
"""Steps after which the recipe also keeps the weights."""


SHA256 = {
    None: "657c522137ecd4b4ad35afef83f8f03ad6a014f151bf1b9a32a0646d599c6179",
    100: "16323c2ae306fc81ef669dc77174920ea6db42ba71cc51ed8608058d4c435c75",
    300: "77e6689f30e8d9da7ef36d0372f68001bc3847128aea1d0e0d61561d12fa041e",
    1000: "d56e446d40a83eaed7f04a243884e482abb565ce653a357b77ad3c29070f3dda",
}
"""Of the files that ship; part of a run's identity."""


def weights_name(step: int | None) -> str:
    """The file of the weights after a step, None for the end."""
    return f"{NAME}.safetensors" if step is None else f"{NAME}-step-{step}.safetensors"
