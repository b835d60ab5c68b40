"""TAP-Vid DAVIS: readers of the official pickle and of DINO-Tracker's, checks, and the writer of the synthetic twin."""

from __future__ import annotations

from bench3d.contracts import DatasetRegistration, Registration
from bench3d.contracts.registration import Download
from bench3d.plugins import hookimpl

CITATION = (
    "C. Doersch, A. Gupta, L. Markeeva, et al. TAP-Vid: A Benchmark for Tracking Any Point in a Video. NeurIPS 2022. "
    "Videos: J. Pont-Tuset et al. The 2017 DAVIS Challenge on Video Object Segmentation."
)
FOLDER = "tapvid_davis"
HOW_TO_GET = (
    "Run bench3d data fetch tapvid-davis, or put tapvid_davis.pkl of "
    "https://storage.googleapis.com/dm-tapnet/tapvid_davis.zip into the folder. For DINO-Tracker's layout put "
    "tapvid_davis_data_strided.pkl and the frames tapvid-davis/<number>/video/*.jpg of "
    "https://github.com/AssafSinger94/dino-tracker there."
)


@hookimpl
def bench3d_register() -> list[Registration]:
    """The data set."""
    return [
        DatasetRegistration(
            name="tapvid-davis",
            summary="TAP-Vid DAVIS: 30 videos with tracks of points; the official pickle or DINO-Tracker's",
            factory="bench3d_plugins.tapvid.dataset:TapVidDavis",
            settings="bench3d_plugins.tapvid.settings:TapVidSettings",
            folder=FOLDER,
            provides=("tracked-videos",),
            recognise="bench3d_plugins.tapvid.layout:recognise",
            how_to_get=HOW_TO_GET,
            licence="annotations CC BY 4.0; DAVIS videos for research use (BSD)",
            citation=CITATION,
            url="https://github.com/google-deepmind/tapnet/tree/main/tapnet/tapvid",
            synth="bench3d_plugins.tapvid.twin:write",
            downloads=(Download(url="https://storage.googleapis.com/dm-tapnet/tapvid_davis.zip", into=FOLDER),),
        )
    ]
