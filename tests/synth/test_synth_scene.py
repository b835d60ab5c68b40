"""Pictures and cameras of the synthetic twins."""

import numpy as np
import pytest

from bench3d.geometry.camera import clip_matrix, project, viewpoint_pose
from bench3d.render.raster import rasterize
from bench3d.synth import CATEGORIES
from bench3d.synth.cameras import CAD_TO_CANONICAL, orbit, photo
from bench3d.synth.instances import make_instance
from bench3d.synth.scene import HARD, PLAIN, Scene, Style, render
from bench3d.synth.sheet import contact_sheet

SIZE = (96, 96)
QUIET = Style(clutter=0.0, light=0.3, noise=0.0)


def video(category="car", seed=1, n=4, size=SIZE):
    instance = make_instance(category, (3, seed))
    return instance, orbit(n, (3, seed), size, instance.vertices)


def test_rendering_is_deterministic_byte_for_byte():
    instance, views = video("chair")
    for style in (PLAIN, HARD):
        a, b = (render(instance, *views[0], SIZE, (4, 2), style) for _ in range(2))
        for name in ("rgb", "mask", "amodal", "depth"):
            assert getattr(a, name).tobytes() == getattr(b, name).tobytes()
        assert render(instance, *views[0], SIZE, (4, 3), style).rgb.tobytes() != a.rgb.tobytes()
    assert a.rgb.shape == (96, 96, 3) and a.rgb.dtype == np.uint8
    assert a.mask.dtype == bool and a.amodal.dtype == bool and a.depth.dtype == np.float32


def test_mask_and_depth_are_the_raster_of_the_mesh():
    instance, views = video()
    pose, k = views[0]
    out = Scene(instance, 3, PLAIN).render(pose, k, SIZE)
    clip = (
        instance.vertices @ (clip_matrix(k, SIZE, 0.5, 50.0) @ pose)[:, :3].T
        + (clip_matrix(k, SIZE, 0.5, 50.0) @ pose)[:, 3]
    )
    raster = rasterize(clip[None].astype(np.float32), instance.faces, (96, 96))[0]
    np.testing.assert_array_equal(out.amodal, raster[..., 3] > 0)
    assert not (out.mask & ~out.amodal).any()
    assert (out.amodal & ~out.mask).sum() <= 0.01 * out.amodal.sum()
    z_over_w = raster[..., 2][out.mask]
    expected = 2 * 50.0 * 0.5 / (50.5 - z_over_w * 49.5)
    np.testing.assert_allclose(out.depth[out.mask], expected, rtol=2e-3)
    assert (out.depth[~out.mask] == 0).all()


def test_depth_of_one_view_lands_on_the_surface_of_another():
    instance, views = video("couch", n=12)
    scene = Scene(instance, 3, QUIET)
    (pose_a, k_a), (pose_b, k_b) = views[0], views[1]
    a, b = (scene.render(pose, k, SIZE) for pose, k in (views[0], views[1]))
    rows, columns = np.nonzero(a.mask)
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))]) * a.depth[a.mask]
    points = (np.linalg.inv(k_a) @ rays).T
    world = (points - pose_a[:3, 3]) @ pose_a[:3, :3]
    pixels, depth = project(world, pose_b, k_b)
    i, j = np.floor(pixels[:, 1]).astype(int), np.floor(pixels[:, 0]).astype(int)
    inside = (i >= 0) & (j >= 0) & (i < 96) & (j < 96)
    seen = b.depth[i[inside], j[inside]]
    hit = seen > 0
    assert hit.mean() > 0.97
    gap = depth[inside][hit] - seen[hit]
    assert np.quantile(gap, 0.02) > -0.1, "nothing stands in front of the other view's surface"
    assert (np.abs(gap) < 0.05).mean() > 0.6


def floor_colours(instance, view, scene, size):
    """Colours at fixed points of the floor in one frame (N, 3), NaN where the frame does not show them."""
    pose, k = view
    out = scene.render(pose, k, size)
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 4000), rng.uniform(1.5, 2.8, 4000)
    height = np.full(4000, instance.vertices[:, 2].min())
    pixels, _ = project(np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height]), pose, k)
    i, j = np.floor(pixels[:, 1]).astype(int), np.floor(pixels[:, 0]).astype(int)
    good = (i >= 0) & (j >= 0) & (i < size[1]) & (j < size[0])
    i, j = np.where(good, i, 0), np.where(good, j, 0)
    return np.where((good & ~out.amodal[i, j])[:, None], out.rgb[i, j], np.nan)


def test_surroundings_of_a_video_stand_still():
    instance, _ = video("car")
    size = (224, 224)
    k = np.array([[300.0, 0, 112], [0, 300.0, 112], [0, 0, 1]])
    first, second = ((viewpoint_pose(azimuth, 40.0, 0.0, 4.2), k) for azimuth in (10.0, 45.0))
    alike, other = [], []
    for seed in range(6):
        a = floor_colours(instance, first, Scene(instance, seed, QUIET), size)
        for pool, owner in ((alike, seed), (other, seed + 50)):
            b = floor_colours(instance, second, Scene(instance, owner, QUIET), size)
            both = ~np.isnan(a + b).any(axis=1)
            assert both.sum() > 500
            pool.append(np.corrcoef(a[both].mean(axis=1), b[both].mean(axis=1))[0, 1])
    assert np.median(alike) > 0.8
    assert np.median(np.abs(other)) < 0.5


def test_hard_style_hides_the_stated_share():
    low, high = HARD.occlusion
    shares = []
    for seed in range(14):
        instance = make_instance("couch", (8, seed))
        shot = photo((8, seed), SIZE, instance.vertices, hard=False)
        out = render(instance, shot.pose(), shot.intrinsics(), SIZE, (8, seed), HARD)
        shares.append(1 - out.mask.sum() / out.amodal.sum())
        plain = render(instance, shot.pose(), shot.intrinsics(), SIZE, (8, seed), PLAIN)
        assert plain.mask.sum() >= 0.93 * plain.amodal.sum()
    shares = np.array(shares)
    assert (shares > low - 0.08).mean() > 0.85 and (shares < high + 0.08).all()
    assert low < shares.mean() < high


def test_dim_cues_take_the_red_off_the_tail_lamps():
    cars = (make_instance("car", (3, i)) for i in range(20))
    instance = next(car for car in cars if car.materials[0].colour[0] < 0.3)
    pose = viewpoint_pose(180.0, 10.0, 0.0, 8.0)
    k = np.array([[300.0, 0, 48], [0, 300.0, 48], [0, 0, 1]])
    reddish = []
    for dim in (False, True):
        image = Scene(instance, 1, Style(0.0, 0.0, False, noise=0.0, dim_cues=dim), view=pose).render(pose, k, SIZE)
        rgb = image.rgb[image.mask].astype(int)
        reddish.append(((rgb[:, 0] > 110) & (rgb[:, 1] < 70) & (rgb[:, 2] < 70)).sum())
    assert reddish[0] > 20 and reddish[1] == 0


@pytest.mark.parametrize("category", CATEGORIES)
def test_orbit_keeps_the_object_in_the_image(category):
    for seed in range(4):
        instance, views = video(category, seed, 12, (256, 192))
        fills, azimuths = [], []
        for pose, k in views:
            np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
            pixels, depth = project(instance.vertices, pose, k)
            assert depth.min() > 0.5 and 2.9 < np.linalg.norm(pose[:3, 3]) < 5.6
            assert pixels.min() >= 0 and (pixels.max(0) <= (256, 192)).all()
            fills.append(((pixels.max(0) - pixels.min(0)) / 192).max())
            eye = -pose[:3, :3].T @ pose[:3, 3]
            azimuths.append(np.rad2deg(np.arctan2(eye[0], -eye[1])) % 360)
            assert eye[2] > instance.vertices[:, 2].min()
        assert 0.4 < np.median(fills) < 0.9
        assert len(np.unique(np.array(azimuths) // 45)) >= 4


@pytest.mark.parametrize("category", CATEGORIES)
def test_plain_photos_show_the_whole_object(category):
    for seed in range(6):
        instance = make_instance(category, (6, seed))
        shot = photo((6, seed), (256, 256), instance.vertices, False, category)
        assert shot.focal * shot.viewport == 3000.0
        pixels, _ = project(instance.vertices, shot.pose(), shot.intrinsics())
        assert pixels.min() > 0 and pixels.max() < 256
        assert 0.4 < (pixels.max(0) - pixels.min(0)).max() / 256 < 0.82
        origin, depth = project(np.zeros((1, 3)), shot.pose(), shot.intrinsics())
        np.testing.assert_allclose(origin[0], (shot.px, shot.py), atol=1e-6)
        assert depth[0] == pytest.approx(shot.distance * CAD_TO_CANONICAL)


def test_hard_photos_are_cut_and_seen_from_near():
    cut, near = 0, 0
    for seed in range(40):
        instance = make_instance("bus", (6, seed % 5))
        shot = photo((7, seed), (256, 256), instance.vertices, True, "bus")
        pixels, depth = project(instance.vertices, shot.pose(), shot.intrinsics())
        assert depth.min() > 0 and 0 <= shot.px <= 256 and 0 <= shot.py <= 256
        cut += bool(pixels.min() < 0 or pixels.max() > 256)
        near += bool(depth.max() / depth.min() > 1.2)
    assert 12 <= cut <= 36 and near > 20


def test_contact_sheet_has_a_row_per_category():
    sheet = contact_sheet(("car", "tv"), 2, seed=1, size=48)
    assert sheet.shape == (96, 96, 3) and sheet.dtype == np.uint8
    assert sheet.std() > 20
