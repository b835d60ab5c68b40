"""Folders of registered RGB-D frames with camera poses: reader and checks."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.plugins import hookimpl

HOW_TO_GET = (
    "Any folder with camera-intrinsics.txt (3x3) and frames NAME.color.png or .jpg, NAME.depth.png (16-bit "
    "millimetres, registered to the colour image) and NAME.pose.txt (camera-to-world 4x4), in the folder itself or in "
    "its subfolders. The scenes of 7-Scenes and 3DMatch are laid out so (7-Scenes needs a camera-intrinsics.txt: "
    "585 0 320, 0 585 240, 0 0 1); their depth is not registered: put the colour camera's intrinsics into "
    "color-intrinsics.txt (about 525 0 320, 0 525 240, 0 0 1), or every correspondence is off by some pixels."
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="rgbd-frames",
            summary="RGB-D frames with camera poses (layout of 7-Scenes and 3DMatch): one set a folder",
            factory="bench3d_plugins.rgbd_frames.dataset:RgbdFrames",
            settings="bench3d_plugins.rgbd_frames.settings:RgbdSettings",
            folder="rgbd_frames",
            provides=("view-sets",),
            recognise="bench3d_plugins.rgbd_frames.layout:recognise",
            how_to_get=HOW_TO_GET,
            licence="that of the frames; 7-Scenes: Microsoft Research licence, non-commercial",
            citation=(
                "J. Shotton, B. Glocker, C. Zach, S. Izadi, A. Criminisi, A. Fitzgibbon. Scene Coordinate Regression "
                "Forests for Camera Relocalization in RGB-D Images. CVPR 2013."
            ),
            url="https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/",
        )
    ]
