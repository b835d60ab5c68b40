"""ObjectNet3D: reader of the official layout, checks, and the writer of its synthetic twin."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.plugins import hookimpl

CITATION = (
    "Y. Xiang, W. Kim, W. Chen, J. Ji, C. Choy, H. Su, R. Mottaghi, L. Guibas, S. Savarese. ObjectNet3D: A Large Scale "
    "Database for 3D Object Recognition. ECCV 2016."
)
HOW_TO_GET = (
    "Download ObjectNet3D_images.zip, ObjectNet3D_annotations.zip, ObjectNet3D_cads.zip and ObjectNet3D_image_sets.zip "
    "from https://cvgl.stanford.edu/projects/objectnet3d/, which points to ftp://cs.stanford.edu/cs/cvgl/ObjectNet3D/, "
    "and unpack them into one folder ObjectNet3D with Images, Annotations, CAD and Image_sets (or link your copy)."
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="objectnet3d",
            summary="ObjectNet3D: ImageNet images with viewpoint, box and CAD model; 20 categories (its twin: 7)",
            factory="bench3d_plugins.objectnet3d.dataset:ObjectNet3D",
            folder="ObjectNet3D",
            categories=(
                "backpack", "bench", "bicycle", "bus", "car", "cellphone", "chair", "couch", "cup", "hairdryer",
                "keyboard", "laptop", "microwave", "motorcycle", "mouse", "remote", "suitcase", "toaster", "toilet",
                "tv",
            ),
            how_to_get=HOW_TO_GET,
            licence="MIT (annotations and toolbox); images under the terms of ImageNet",
            citation=CITATION,
            url="https://cvgl.stanford.edu/projects/objectnet3d/",
            synth="bench3d_plugins.objectnet3d.twin:write",
        )
    ]  # fmt: skip
