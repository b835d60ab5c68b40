import numpy as np
import pytest

from bench3d.metrics.tracking import (
    count_tracks,
    evaluated_frames,
    first_queries,
    share_of_image_within,
    strided_queries,
    video_scores,
)


@pytest.mark.parametrize("mode", ["strided", "first"])
def test_the_protocol_page_s_hand_case(mode):
    # One track of four frames, asked for in the first; hidden in the third; predicted 1.5 px off, exact, 20 px off.
    points = np.array([[[10.0, 10], [20, 10], [30, 10], [40, 10]]])
    occluded = np.array([[False, False, True, False]])
    said = points + np.array([[[0, 0], [1.5, 0], [0, 0], [20, 0]]])
    found = video_scores(
        count_tracks(evaluated_frames(np.array([0]), 4, mode), occluded, points, np.zeros((1, 4), bool), said)
    )
    assert found.occlusion_accuracy == 2 / 3
    assert found.within == (0.0, 0.5, 0.5, 0.5, 0.5)
    assert found.jaccard == (0.0, 0.25, 0.25, 0.25, 0.25)
    assert found.average_within == pytest.approx(0.4, abs=1e-15)
    assert found.average_jaccard == pytest.approx(0.2, abs=1e-15)


def test_a_threshold_is_strict():
    points, shown = np.zeros((1, 2, 2)), np.zeros((1, 2), bool)
    for distance, expected in ((1.0, 0), (np.nextafter(1.0, 0.0), 1)):
        said = points + np.array([distance, 0.0])
        counts = count_tracks(evaluated_frames(np.array([0]), 2, "strided"), shown, points, shown, said)
        assert counts.within[0].tolist() == [expected, 1, 1, 1, 1]


def test_modes_count_other_frames():
    frames = np.array([0, 2, 3])
    assert evaluated_frames(frames, 4, "strided").sum(axis=1).tolist() == [3, 3, 3]
    assert evaluated_frames(frames, 4, "first").tolist() == [
        [False, True, True, True],
        [False] * 3 + [True],
        [False] * 4,
    ]
    with pytest.raises(ValueError, match="backwards"):
        evaluated_frames(frames, 4, "backwards")


def test_nothing_to_count_is_nan_and_adds_nothing():
    points, hidden = np.zeros((2, 3, 2)), np.zeros((2, 3), bool)
    counts = count_tracks(evaluated_frames(np.array([2, 0]), 3, "first"), hidden, points, hidden, points)
    last = video_scores(counts.of(np.array([0])))
    assert all(np.isnan(v) for v in (last.average_jaccard, last.average_within, last.occlusion_accuracy))
    assert video_scores(counts).average_jaccard == video_scores(counts.of(np.array([1]))).average_jaccard == 1.0


def test_queries_by_hand():
    occluded = np.ones((3, 7), bool)
    occluded[0, [0, 5]] = occluded[2, [5, 6]] = False  # track 1 is never seen
    strided, first = strided_queries(occluded), first_queries(occluded)
    assert (strided.tracks.tolist(), strided.frames.tolist()) == ([0, 0, 2], [0, 5, 5])
    assert (first.tracks.tolist(), first.frames.tolist()) == ([0, 2], [0, 5])


def test_a_false_alarm_and_a_far_one_both_cost_the_jaccard_index():
    points, occluded = np.zeros((1, 4, 2)), np.array([[False, True, False, False]])
    said = np.array([[[0.0, 0], [0, 0], [100, 0], [0, 0]]])
    said_hidden = np.array([[False, False, False, True]])
    counts = count_tracks(evaluated_frames(np.array([0]), 4, "strided"), occluded, points, said_hidden, said)
    # Frames 1 (hidden, said visible) and 2 (far) are false; frame 3 is near and said hidden.
    assert (counts.hits[0].tolist(), counts.false[0].tolist()) == ([0] * 5, [2] * 5)
    assert counts.within[0].tolist() == [1] * 5
    assert video_scores(counts).jaccard == (0.0,) * 5


def test_the_share_of_the_image_that_a_disc_covers():
    disc = np.pi * 16 / 256**2
    points = np.array([[128.0, 128], [0, 0], [0, 128], [256, 256], [128, 255]])
    found = share_of_image_within(points, 4)
    # One pixel above the bottom edge: a disc without the cap beyond the chord at distance 1.
    cap = 16 * np.arccos(1 / 4) - np.sqrt(16 - 1)
    np.testing.assert_allclose(found, [disc, disc / 4, disc / 2, disc / 4, disc - cap / 256**2], rtol=1e-12)
    assert share_of_image_within(points, 400).tolist() == [1.0] * 5
    drawn = np.random.default_rng(0).random((400_000, 2)) * 256
    near = [(np.square(drawn - point).sum(axis=1) < 90**2).mean() for point in points]
    np.testing.assert_allclose(share_of_image_within(points, 90), near, atol=3e-3)
