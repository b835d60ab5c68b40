"""Render-and-compare on a CPU: scores of poses and their exact gradients, in numba.

The score of a pose (CVPR'25, section 5; protocol page 5.4) is the mean over all cells of max(<s, f>, <s, beta>), where
f is the barycentrically interpolated vertex feature and beta the background feature. It is linear in the vertex
features, so one (cells x vertices) similarity matrix per image serves every start and every refinement step: a pose
costs a raster pass and three gathers per cell.

A cell's ray is d = ((x - cx) / fx, (y - cy) / fy, 1) and its perspective-correct barycentrics in a triangle
(A0, A1, A2) in the camera are b_i = w_i / sum w with w_0 = d . (A1 x A2), cyclic. Their derivatives with respect to a
rotation about the object's origin and a translation are closed forms, so no autograd is needed.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

NEAR = 1e-3
MIN_AREA = 1e-4  # grid pixels squared; thinner triangles are skipped, see quick_preset on marching tetrahedra


@njit(cache=True, fastmath=False)
def _project(vertices, rotation, translation, intrinsics, camera, screen):  # type: ignore[no-untyped-def]
    """Fills camera (V, 3) and screen (V, 3: x, y, 1/z); 1/z is 0 for vertices behind the near plane."""
    for i in range(vertices.shape[0]):
        for r in range(3):
            camera[i, r] = (
                rotation[r, 0] * vertices[i, 0]
                + rotation[r, 1] * vertices[i, 1]
                + rotation[r, 2] * vertices[i, 2]
                + translation[r]
            )
        z = camera[i, 2]
        if z > NEAR:
            screen[i, 0] = intrinsics[0, 0] * camera[i, 0] / z + intrinsics[0, 2]
            screen[i, 1] = intrinsics[1, 1] * camera[i, 1] / z + intrinsics[1, 2]
            screen[i, 2] = 1.0 / z
        else:
            screen[i, 2] = 0.0


@njit(cache=True, fastmath=False)
def _visible(screen, faces, height, width, inverse_depth, triangle):  # type: ignore[no-untyped-def]
    """Z-buffer at cell centres: triangle (h*w,) gets the nearest face or -1."""
    inverse_depth[:] = 0.0
    triangle[:] = -1
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ia, ib, ic = screen[a, 2], screen[b, 2], screen[c, 2]
        if ia == 0.0 or ib == 0.0 or ic == 0.0:
            continue
        ax, ay, bx, by, cx, cy = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < MIN_AREA:
            continue
        x0 = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        x1 = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        y0 = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        y1 = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        inverse = 1.0 / area
        for j in range(y0, y1 + 1):
            py = j + 0.5
            for i in range(x0, x1 + 1):
                px = i + 0.5
                wa = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * inverse
                wb = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * inverse
                wc = 1.0 - wa - wb
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                depth = wa * ia + wb * ib + wc * ic
                cell = j * width + i
                if depth > inverse_depth[cell]:
                    inverse_depth[cell] = depth
                    triangle[cell] = f


@njit(cache=True, fastmath=False)
def _volumes(camera, a, b, c, dx, dy):  # type: ignore[no-untyped-def]
    """w_0, w_1, w_2 of the module's formula for the ray (dx, dy, 1)."""
    ax, ay, az = camera[a, 0], camera[a, 1], camera[a, 2]
    bx, by, bz = camera[b, 0], camera[b, 1], camera[b, 2]
    cx, cy, cz = camera[c, 0], camera[c, 1], camera[c, 2]
    w0 = dx * (by * cz - bz * cy) + dy * (bz * cx - bx * cz) + (bx * cy - by * cx)
    w1 = dx * (cy * az - cz * ay) + dy * (cz * ax - cx * az) + (cx * ay - cy * ax)
    w2 = dx * (ay * bz - az * by) + dy * (az * bx - ax * bz) + (ax * by - ay * bx)
    return w0, w1, w2


@njit(cache=True, fastmath=False)
def _score(similarity, background, valid, faces, camera, triangle, intrinsics, width):  # type: ignore[no-untyped-def]
    """Sum over cells of max(<s, f>, <s, beta>); padding cells count <s, beta>."""
    total = 0.0
    for cell in range(triangle.shape[0]):
        value = background[cell]
        f = triangle[cell]
        if f >= 0 and valid[cell]:
            dx = (cell % width + 0.5 - intrinsics[0, 2]) / intrinsics[0, 0]
            dy = (cell // width + 0.5 - intrinsics[1, 2]) / intrinsics[1, 1]
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            w0, w1, w2 = _volumes(camera, a, b, c, dx, dy)
            row = similarity[cell]
            found = (w0 * row[a] + w1 * row[b] + w2 * row[c]) / (w0 + w1 + w2)
            value = max(value, found)
        total += value
    return total


@njit(cache=True, fastmath=False)
def _cross(ax, ay, az, bx, by, bz):  # type: ignore[no-untyped-def]
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@njit(cache=True, fastmath=False)
def _accumulate(camera, translation, p, q, dx, dy, weight, out):  # type: ignore[no-untyped-def]
    """Adds weight * d w / d (omega, tau) for w = d . (P x Q): the vertex opposite to the edge (P, Q) is absent.

    Under P -> P + omega x (P - t) + tau: dw/dtau = (Q - P) x d, dw/domega = p x (Q x d) + q x (d x P).
    """
    px, py, pz = camera[p, 0], camera[p, 1], camera[p, 2]
    qx, qy, qz = camera[q, 0], camera[q, 1], camera[q, 2]
    ux, uy, uz = _cross(qx, qy, qz, dx, dy, 1.0)
    vx, vy, vz = _cross(dx, dy, 1.0, px, py, pz)
    rx, ry, rz = _cross(px - translation[0], py - translation[1], pz - translation[2], ux, uy, uz)
    sx, sy, sz = _cross(qx - translation[0], qy - translation[1], qz - translation[2], vx, vy, vz)
    out[0] += weight * (rx + sx)
    out[1] += weight * (ry + sy)
    out[2] += weight * (rz + sz)
    out[3] += weight * (ux + vx)
    out[4] += weight * (uy + vy)
    out[5] += weight * (uz + vz)


@njit(cache=True, fastmath=False)
def _score_gradient(  # type: ignore[no-untyped-def]
    similarity, background, valid, faces, camera, triangle, translation, intrinsics, width, gradient
):
    """Score and its gradient (6,) with respect to a camera-frame rotation omega and translation tau (interior term)."""
    gradient[:] = 0.0
    total = 0.0
    for cell in range(triangle.shape[0]):
        value = background[cell]
        f = triangle[cell]
        if f >= 0 and valid[cell]:
            dx = (cell % width + 0.5 - intrinsics[0, 2]) / intrinsics[0, 0]
            dy = (cell // width + 0.5 - intrinsics[1, 2]) / intrinsics[1, 1]
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            w0, w1, w2 = _volumes(camera, a, b, c, dx, dy)
            row = similarity[cell]
            volume = w0 + w1 + w2
            found = (w0 * row[a] + w1 * row[b] + w2 * row[c]) / volume
            if found > value:
                value = found
                _accumulate(camera, translation, b, c, dx, dy, (row[a] - found) / volume, gradient)
                _accumulate(camera, translation, c, a, dx, dy, (row[b] - found) / volume, gradient)
                _accumulate(camera, translation, a, b, dx, dy, (row[c] - found) / volume, gradient)
        total += value
    return total


@njit(cache=True, fastmath=False)
def _turn(rotation, x, y, z):  # type: ignore[no-untyped-def]
    """Rotation @ exp((x, y, z)) by Rodrigues' formula."""
    angle = np.sqrt(x * x + y * y + z * z)
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    if angle < 1e-9:
        return rotation @ (np.eye(3) + k)
    step = np.eye(3) + np.sin(angle) / angle * k + (1.0 - np.cos(angle)) / (angle * angle) * (k @ k)
    return rotation @ step


@njit(cache=True, parallel=True, fastmath=False)
def score_poses(  # type: ignore[no-untyped-def]
    similarity, background, valid, vertices, faces, rotations, translations, intrinsics, height, width
):
    """Scores of S poses of each of B images.

    Args:
        similarity: (B, P, V) float32, <s, f_v> of every cell and vertex; P = height * width, row by row.
        background: (B, P) float32, <s, beta>.
        valid: (B, P) bool, cells inside the original image.
        vertices: (B, V, 3) float64 canonical; faces: (F, 3) int32.
        rotations: (B, S, 3, 3), translations: (B, S, 3), float64; intrinsics: (B, 3, 3) in cells.

    Returns:
        (B, S) float64, mean over cells (not divided by the temperature).
    """
    images, poses = rotations.shape[0], rotations.shape[1]
    out = np.empty((images, poses))
    for job in prange(images * poses):
        n, s = job // poses, job % poses
        camera = np.empty((vertices.shape[1], 3))
        screen = np.empty((vertices.shape[1], 3))
        depth = np.empty(height * width)
        triangle = np.empty(height * width, np.int32)
        _project(vertices[n], rotations[n, s], translations[n, s], intrinsics[n], camera, screen)
        _visible(screen, faces, height, width, depth, triangle)
        total = _score(similarity[n], background[n], valid[n], faces, camera, triangle, intrinsics[n], width)
        out[n, s] = total / (height * width)
    return out


@njit(cache=True, fastmath=False)
def score_gradient(  # type: ignore[no-untyped-def]
    similarity, background, valid, vertices, faces, rotation, translation, intrinsics, height, width
):
    """Score of one pose and its gradient (6,): object-frame rotation xi (R <- R exp(xi)), then translation."""
    camera = np.empty((vertices.shape[0], 3))
    screen = np.empty((vertices.shape[0], 3))
    depth = np.empty(height * width)
    triangle = np.empty(height * width, np.int32)
    raw = np.empty(6)
    _project(vertices, rotation, translation, intrinsics, camera, screen)
    _visible(screen, faces, height, width, depth, triangle)
    cells = height * width
    total = _score_gradient(similarity, background, valid, faces, camera, triangle, translation, intrinsics, width, raw)
    gradient = np.empty(6)
    for r in range(3):
        gradient[r] = (rotation[0, r] * raw[0] + rotation[1, r] * raw[1] + rotation[2, r] * raw[2]) / cells
        gradient[3 + r] = raw[3 + r] / cells
    return total / cells, gradient


@njit(cache=True, fastmath=False)
def _ascend(  # type: ignore[no-untyped-def]
    rotation, translation, gradient, first, second, step, rate, beta1, beta2, clip, scale, free_translation
):
    """One Adam step up the gradient: returns the turned rotation, moves `translation` and both moments in place."""
    if free_translation:
        along = gradient[3] * translation[0] + gradient[4] * translation[1] + gradient[5] * translation[2]
        gradient[5] = along
    move = np.zeros(6)
    for k in range(6 if free_translation else 3):
        g = gradient[k] * scale
        if not np.isfinite(g):
            g = 0.0
        first[k] = beta1 * first[k] + (1 - beta1) * g
        second[k] = beta2 * second[k] + (1 - beta2) * g * g
        m = first[k] / (1 - beta1 ** (step + 1))
        v = second[k] / (1 - beta2 ** (step + 1))
        move[k] = min(max(rate * m / (np.sqrt(v) + 1e-8), -clip), clip)
    if free_translation:
        translation[0] += move[3]
        translation[1] += move[4]
        translation *= np.exp(move[5])
    return _turn(rotation, move[0], move[1], move[2])


@njit(cache=True, parallel=True, fastmath=False)
def refine_poses(  # type: ignore[no-untyped-def]
    images, rotations, translations, intrinsics, grid, steps, rate, betas, clip, scale, free_translation
):
    """Adam ascent from S poses of each of B images; rotation only unless `free_translation`.

    Rotation moves by R <- R exp(xi) with xi reset each step (protocol page 5.5). A free translation moves in
    (x / z, y / z, log z) times z, so that a step means the same at every distance. `scale` multiplies the score
    (1 / temperature): Adam's epsilon of 1e-8 is the only thing it changes. A step that is not finite counts as 0.

    Args:
        images: (similarity, background, valid, vertices, faces) as in `score_poses`.
        grid: (height, width); betas: Adam's two decays.

    Returns:
        rotations (B, S, 3, 3), translations (B, S, 3), scores (B, S) of the best pose met on the way, start included.
    """
    similarity, background, valid, vertices, faces = images
    height, width = grid
    count, poses = rotations.shape[0], rotations.shape[1]
    best_rotation, best_translation = rotations.copy(), translations.copy()
    best_score = np.full((count, poses), -np.inf)
    for job in prange(count * poses):
        n, s = job // poses, job % poses
        rotation, translation = rotations[n, s].copy(), translations[n, s].copy()
        first, second = np.zeros(6), np.zeros(6)
        cells = similarity[n], background[n], valid[n], vertices[n], faces
        for step in range(steps + 1):
            score, gradient = score_gradient(*cells, rotation, translation, intrinsics[n], height, width)
            if score > best_score[n, s]:
                best_score[n, s] = score
                best_rotation[n, s] = rotation
                best_translation[n, s] = translation
            if step < steps:
                rotation = _ascend(
                    rotation, translation, gradient, first, second, step, rate, betas[0], betas[1], clip, scale,
                    free_translation,
                )  # fmt: skip
    return best_rotation, best_translation, best_score
