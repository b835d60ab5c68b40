"""Cameras in OpenCV axes (x right, y down, z forward) and the conversions from the formats of the field.

Sources: PASCAL3D+ viewpoint (azimuth, elevation, theta, distance), PyTorch3D / CO3D v2 NDC cameras; protocol page
common3d.md sections 1.1 and 1.2.
"""

from __future__ import annotations

import numpy as np

PYTORCH3D_TO_OPENCV = np.diag([-1.0, -1.0, 1.0])


def viewpoint_rotation(azimuth: np.ndarray, elevation: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Object (x left, y back, z up) to OpenCV camera rotation, (...) degrees each -> (..., 3, 3).

    Camera centre direction (cos e sin a, -cos e cos a, sin e), looking at the origin with z up, then turned in the
    image plane by theta. Azimuth 0 sees the object's front (-y); a = e = t = 0 gives [[1,0,0],[0,0,-1],[0,1,0]].
    """
    a, e, t = (np.deg2rad(np.asarray(v, dtype=np.float64)) for v in (azimuth, elevation, theta))
    a, e, t = np.broadcast_arrays(a, e, t)
    zero = np.zeros_like(a)
    right = np.stack([np.cos(a), np.sin(a), zero], axis=-1)
    forward = -np.stack([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)], axis=-1)
    down = np.cross(forward, right)
    look = np.stack([right, down, forward], axis=-2)
    roll = np.stack([np.cos(t), np.sin(t), zero, -np.sin(t), np.cos(t), zero, zero, zero, zero + 1], axis=-1)
    return roll.reshape(*t.shape, 3, 3) @ look


def start_rotations() -> np.ndarray:
    """The 144 rotations that render-and-compare starts from (CVPR'25, section 5), (144, 3, 3).

    12 azimuths (every 30 degrees) x 4 elevations (-30, 0, 30, 60) x 3 in-plane angles (-30, 0, 30). A random one of
    them is also a chance level of every pose task.
    """
    a, e, t = np.meshgrid(np.arange(0.0, 360.0, 30.0), [-30.0, 0.0, 30.0, 60.0], [-30.0, 0.0, 30.0], indexing="ij")
    return viewpoint_rotation(a.ravel(), e.ravel(), t.ravel())


def viewpoint_pose(azimuth: float, elevation: float, theta: float, distance: float) -> np.ndarray:
    """PASCAL3D+ viewpoint to cam_T_obj (4, 4); the object's origin lies at (0, 0, distance)."""
    pose = np.eye(4)
    pose[:3, :3] = viewpoint_rotation(azimuth, elevation, theta)  # type: ignore[arg-type]
    pose[:3, 3] = (0.0, 0.0, distance)
    return pose


def viewpoint_angles(rotation: np.ndarray) -> tuple[float, float, float]:
    """Inverse of `viewpoint_rotation` in degrees: azimuth in [0, 360), elevation in [-90, 90], theta in (-180, 180]."""
    x, y, z = -rotation[2]
    elevation = np.arcsin(np.clip(z, -1.0, 1.0))
    azimuth = np.arctan2(x, -y)
    untilted = viewpoint_rotation(np.rad2deg(azimuth), np.rad2deg(elevation), 0.0)  # type: ignore[arg-type]
    roll = rotation @ untilted.T
    theta = np.arctan2(roll[0, 1], roll[0, 0])
    return float(np.rad2deg(azimuth) % 360.0), float(np.rad2deg(elevation)), float(np.rad2deg(theta))


def from_pytorch3d(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """PyTorch3D row-vector camera (x_cam = x R + T; x left, y up) to OpenCV cam_T_world (4, 4)."""
    pose = np.eye(4)
    pose[:3, :3] = PYTORCH3D_TO_OPENCV @ np.asarray(rotation, dtype=np.float64).T
    pose[:3, 3] = PYTORCH3D_TO_OPENCV @ np.asarray(translation, dtype=np.float64)
    return pose


def to_pytorch3d(cam_T_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of `from_pytorch3d`: (R (3, 3), T (3,))."""
    return (PYTORCH3D_TO_OPENCV @ cam_T_world[:3, :3]).T, PYTORCH3D_TO_OPENCV @ cam_T_world[:3, 3]


def ndc_intrinsics(
    focal: np.ndarray, principal: np.ndarray, size: tuple[int, int], intrinsics_format: str
) -> np.ndarray:
    """CO3D NDC intrinsics to pixels (3, 3). size is (W, H).

    `ndc_isotropic`: s = min(W, H)/2 on both axes; `ndc_norm_image_bounds`: W/2 and H/2. c = size/2 - p * s.

    Raises:
        ValueError: for any other format.
    """
    half = np.asarray(size, dtype=np.float64) / 2
    if intrinsics_format == "ndc_isotropic":
        unit = np.full(2, half.min())
    elif intrinsics_format == "ndc_norm_image_bounds":
        unit = half
    else:
        raise ValueError(f"unknown intrinsics_format {intrinsics_format!r}")
    f = np.asarray(focal, dtype=np.float64) * unit
    c = half - np.asarray(principal, dtype=np.float64) * unit
    return np.array([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]])


def project(points: np.ndarray, cam_T_obj: np.ndarray, intrinsics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) object points to pixels (N, 2) and depths (N,). Depths <= 0 are behind the camera."""
    cam = points @ cam_T_obj[:3, :3].T + cam_T_obj[:3, 3]
    pixels = cam @ intrinsics.T
    depth = cam[:, 2]
    return pixels[:, :2] / np.where(np.abs(pixels[:, 2:]) < 1e-9, 1e-9, pixels[:, 2:]), depth


def clip_matrix(intrinsics: np.ndarray, size: tuple[int, int], near: float = 0.01, far: float = 1e4) -> np.ndarray:
    """Projection (..., 4, 4) from OpenCV camera coordinates to the renderer's clip space. size is (W, H).

    Row 0 of the raster is the top of the image, so y is not flipped: y_ndc = 2 v / H - 1.
    """
    k = np.asarray(intrinsics, dtype=np.float64)
    w, h = size
    out = np.zeros((*k.shape[:-2], 4, 4))
    out[..., 0, :3] = 2 * k[..., 0, :] / w - np.array([0.0, 0.0, 1.0])
    out[..., 1, :3] = 2 * k[..., 1, :] / h - np.array([0.0, 0.0, 1.0])
    out[..., 2, 2] = (far + near) / (far - near)
    out[..., 2, 3] = -2 * far * near / (far - near)
    out[..., 3, 2] = 1.0
    return out


def remove_similarity_scale(cam_T_raw: np.ndarray, canonical_T_raw: np.ndarray) -> np.ndarray:
    """cam_T_obj for a canonical frame reached by a similarity (protocol page, canonicalisation, step 3).

    cam_T_raw (4, 4) rigid, canonical_T_raw (4, 4) similarity. The product's upper 3x4 is divided by the mean row
    norm of its 3x3, so that the rotation is orthonormal and the translation in canonical units.
    """
    pose = cam_T_raw @ np.linalg.inv(canonical_T_raw)
    scale = np.linalg.norm(pose[:3, :3], axis=1).mean()
    pose[:3] /= scale
    return pose
