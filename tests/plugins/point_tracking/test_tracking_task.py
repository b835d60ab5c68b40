from pathlib import Path

import numpy as np
import pytest

from bench3d.contracts import TrackedVideo, VideoFrame
from bench3d.errors import UsageError
from bench3d.metrics.tracking import video_scores
from bench3d.runner.aggregate import groups, scores
from bench3d_plugins.point_tracking import PROTOCOLS
from bench3d_plugins.point_tracking.frames import ReducedFrame, frame_request
from bench3d_plugins.point_tracking.samples import bin_names, longest_occlusion, make_sample, motion
from bench3d_plugins.point_tracking.settings import TrackingSettings
from bench3d_plugins.point_tracking.task import PointTracking
from bench3d_plugins.point_tracking.values import count_tracks, metrics, sample_values

FRAMES = tuple(VideoFrame(Path(f"{t}.png"), (8, 8)) for t in range(4))


def video(name="v", points=None, occluded=None, **more):
    xs = np.array([[10, 20, 30, 40], [50, 50, 50, 50]], dtype=np.float32)
    points = np.stack([xs, np.full_like(xs, 10)], axis=2) / 256 if points is None else points
    occluded = np.array([[0, 0, 1, 0], [1, 0, 0, 0]], dtype=bool) if occluded is None else occluded
    return TrackedVideo(name, FRAMES, points, (1.0, 1.0), occluded, cluster=name, **more)


def test_samples_are_in_pixels_of_256_and_ask_what_the_mode_says():
    first = make_sample(video(), "all", "first")
    assert first.frames.tolist() == [0, 1]
    assert first.asked.tolist() == [[10, 10], [50, 10]]
    assert first.evaluated.sum(axis=1).tolist() == [3, 2]
    strided = make_sample(video(), "all", "strided")
    assert strided.frames.tolist() == [0]  # the second track is hidden in frame 0
    assert motion(first).tolist() == [30.0, 0.0]
    assert longest_occlusion(first).tolist() == [1, 0]
    assert bin_names(first, "motion") == ["8 to 32 px", "below 8 px"]
    assert bin_names(first, "occlusion") == ["1 to 4 frames", "never hidden"]


def test_first_queries_cannot_be_asked_of_strided_ones():
    given = video(query_frames=np.array([0, 1]))
    assert make_sample(given, "all", "strided").frames.tolist() == [0, 1]
    with pytest.raises(UsageError, match="strided queries"):
        make_sample(given, "all", "first")


def predictions(sample, seed):
    rng = np.random.default_rng(seed)
    return sample.points + rng.choice([0.0, 1.5, 3.0, 20.0], sample.points.shape), rng.random(
        sample.occluded.shape
    ) < 0.3


def test_the_host_s_means_and_bins_are_the_ratios_of_the_metrics():
    rng = np.random.default_rng(5)
    made, values = [], []
    for n in range(3):
        occluded = rng.random((9, 4)) < 0.3
        occluded[np.arange(9), rng.integers(0, 4, 9)] = False
        walk = (128 + np.cumsum(rng.normal(0, 12, (9, 4, 2)), axis=1)).astype(np.float32) / 256
        sample = make_sample(video(f"v{n}", walk, occluded), "all", "first")
        said, flags = predictions(sample, n)
        made.append((sample, count_tracks(sample.evaluated, sample.occluded, sample.points, flags, said)))
        values.append(sample_values(sample, said, flags))
    exact = [video_scores(counts) for _, counts in made]
    found = {s.metric: s.value for s in scores(metrics(), values, 0) if s.category == "mean"}
    assert found["AJ"] == pytest.approx(100 * np.mean([s.average_jaccard for s in exact]), abs=1e-4)
    assert found["delta_avg"] == pytest.approx(100 * np.mean([s.average_within for s in exact]), abs=1e-4)
    assert found["OA"] == pytest.approx(100 * np.mean([s.occlusion_accuracy for s in exact]), abs=1e-4)
    assert found["J@4"] == pytest.approx(100 * np.mean([s.jaccard[2] for s in exact]), abs=1e-4)
    assert found["d@1"] == pytest.approx(100 * np.mean([s.within[0] for s in exact]), abs=1e-4)
    binned = {(g.metric, g.by, g.bin): g.value for g in groups(metrics(), values, 0)}
    for by, name in {(by, name) for _, by, name in binned}:
        parts = [video_scores(c.of(np.array(bin_names(s, by)) == name)) for s, c in made]
        with np.errstate(all="ignore"):
            wanted = np.nanmean([p.average_jaccard for p in parts])
        assert binned["AJ", by, name] == pytest.approx(100 * wanted, abs=1e-4)
        assert binned["OA", by, name] == pytest.approx(
            100 * np.nanmean([p.occlusion_accuracy for p in parts]), abs=1e-4
        )


def test_chance_by_hand():
    sample = make_sample(video(), "all", "first")
    values = sample_values(sample, sample.points, sample.occluded)
    # Standing still: track 0 is 10 px off in frame 1 (within 16) and 30 px in frame 3, track 1 is right twice.
    assert values["parts"]["still_point_delta_avg"] == [pytest.approx(0.1), 1.0]
    assert values["parts"]["always_visible"] == [pytest.approx(2 / 3), 1.0]
    # 4 visible points; false alarms: frame 2 of track 0 always, frame 1 below 16 px, frame 3 always.
    assert values["still_point_AJ"] == pytest.approx((4 * 2 / 7 + 3 / 6) / 5)
    assert values["AJ"] == 1.0
    assert 0 < values["parts"]["random_point_delta_avg"][0] < 0.005


class Videos:
    def __init__(self, *videos):
        self.found = videos

    def videos(self, category):
        return self.found


def test_queries_without_frames_that_count_are_said_and_left_out():
    late = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)
    never = np.ones((2, 4), dtype=bool)
    task = PointTracking(TrackingSettings(queries="first"), PROTOCOLS[1])
    samples = task.samples(Videos(video("a", occluded=late), video("b", occluded=never)), "all", None)
    assert [s.id for s in samples] == ["a"]
    said = " ".join(task.notes())
    assert "1 videos in which no point" in said
    assert "1 queries are given in the last frame" in said
    only = make_sample(video("c", occluded=np.array([[1, 1, 1, 0], [1, 1, 1, 1]], dtype=bool)), "all", "first")
    values = sample_values(only, only.points, only.occluded)
    assert values["AJ"] is None
    assert values["parts"]["OA"] == [None]


def test_frames_are_reduced_before_the_backbone_places_them():
    own, reduced = frame_request(FRAMES[0], None), frame_request(FRAMES[0], (4, 4))
    assert own.pixels is None
    assert own.size == (8, 8)
    assert reduced.pixels == ReducedFrame(FRAMES[0], (4, 4))
    assert reduced == frame_request(FRAMES[0], (4, 4))
    assert reduced != frame_request(FRAMES[1], (4, 4))


def test_every_protocol_s_settings_are_known_and_native_results_are_marked():
    for protocol in PROTOCOLS:
        settings = TrackingSettings(**protocol.settings)
        notes = PointTracking(settings, protocol).notes()
        assert bool(notes) == (protocol.name == "dino-tracker")
