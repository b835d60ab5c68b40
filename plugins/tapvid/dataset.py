"""The reader of TAP-Vid DAVIS in both layouts (and of its twin, which stands in both)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from bench3d.contracts import Problem
from bench3d.contracts.tracks import TrackedVideo
from bench3d.data.hashing import Digest
from bench3d.data.twin import is_synthetic, require_whole, twin_mark
from bench3d.errors import DataError, UsageError
from bench3d_plugins.tapvid.layout import OFFICIAL, STRIDED, find
from bench3d_plugins.tapvid.official import read_official
from bench3d_plugins.tapvid.settings import TapVidSettings
from bench3d_plugins.tapvid.strided import read_strided


class TapVidDavis:
    """Videos with tracks. `root` holds one of the two pickles, in itself or in a folder of it; one category, "all".

    Pickles are read as data (bench3d.data.safe_pickle); frames stay where they are until one is asked for.
    """

    def __init__(self, root: Path, settings: TapVidSettings | None = None) -> None:
        self.root = Path(root)
        self.settings = settings or TapVidSettings()
        self.synthetic = is_synthetic(self.root)

    @property
    def layout(self) -> str:
        """`official` or `dino-tracker`: what the settings say, or what is there."""
        if self.settings.layout != "auto":
            return self.settings.layout
        there = find(self.root, STRIDED).is_file() and not find(self.root, OFFICIAL).is_file()
        return "dino-tracker" if there else "official"

    @property
    def pickle(self) -> Path:
        """The file that is read."""
        return find(self.root, OFFICIAL if self.layout == "official" else STRIDED)

    def videos(self, category: str = "all") -> Sequence[TrackedVideo]:
        """Every video in the order of the file; no frame is decoded.

        Raises:
            DataError: names file, video and field.
            UsageError: a category other than "all".
        """
        if category != "all":
            raise UsageError(f"TAP-Vid DAVIS has no category {category!r}.", 'It knows one, "all".')
        return self._videos

    def fingerprint(self, category: str = "all") -> str:
        """SHA-256 over the tracks, the queries and the sizes of the frames. Image bytes are not read."""
        digest = Digest()
        mark = twin_mark(self.root)
        if mark is not None:
            digest.add("twin", repr((mark["generator"], mark["spec"].get("seed"))).encode())
        digest.add("layout", self.layout.encode())
        for video in self.videos(category):
            facts = (video.id, len(video.frames), video.frames[0].size, video.extent)
            digest.add("video", repr(facts).encode())
            digest.add("points", video.points.astype("<f4").tobytes())
            digest.add("occluded", video.occluded.tobytes())
            if video.query_frames is not None:
                digest.add("queries", video.query_frames.astype("<i4").tobytes())
        return digest.hexdigest()

    def notes(self) -> tuple[str, ...]:
        """What belongs beside every number made with it."""
        if self.layout == "official":
            return ()
        return ("Queries and tracks of DINO-Tracker's strided pickle; videos are known by number, not by DAVIS name.",)

    def check(self, categories: Sequence[str] | None = None) -> Iterable[Problem]:
        """Every missing or broken file, video and field; decodes every frame."""
        from bench3d_plugins.tapvid.check import check

        return check(self)

    @cached_property
    def _videos(self) -> tuple[TrackedVideo, ...]:
        require_whole(self.root)
        reader = read_official(self.pickle) if self.layout == "official" else read_strided(self.pickle, self.root)
        videos = tuple(reader)
        names = [video.id for video in videos]
        if twice := [name for name in names if names.count(name) > 1]:
            raise DataError(f"{self.pickle}: there are two videos {twice[0]}.", "Get the file again.")
        return videos
