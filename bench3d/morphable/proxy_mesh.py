"""A closed mesh of at most 500 vertices around a point cloud: the proxy mesh "alpha500" of Common3D and UOP3D.

Source: protocol page common3d.md 1.1 (alpha shape, grown until watertight, then quadric decimation). Deviations: only
the surface around the outside of the largest solid is returned, no cavities and no floating parts, and it must hold
nine tenths of the points; where even that fails, it is the convex hull.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, Delaunay, QhullError, cKDTree

from bench3d.errors import DataError

FEWEST_POINTS = 32
FLATTEST = 1e-3
"""Smallest extent of a cloud along its principal axes as a share of the largest; below it encloses no volume."""
LEAST_HELD = 0.9
QUANTILE, NEIGHBOURS = 0.01, 3
ALPHA_GROWTH, THINNING, AGAIN_GROWTH, FEWER_FACES = 1.1, 0.95, 1.3, 0.9
MOST_ROUNDS = 60
JITTER = 1e-6
"""Of half the largest extent: points in general position, which surfaces with flat sides are not, are quicker."""
FACES_OF_A_TETRAHEDRON = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])
"""The face opposite each corner, outward where the corners are positively oriented."""


def proxy_mesh(
    points: np.ndarray, *, seed: int, most_points: int = 10000, most_vertices: int = 500
) -> tuple[np.ndarray, np.ndarray]:
    """A closed surface around a cloud.

    Args:
        points: (N, 3) in any frame and unit.
        seed: of the random choice of `most_points` points; the result is the same for the same seed and points.
        most_points: so many points are used.
        most_vertices: of the result, at least 8.

    Returns:
        vertices (V, 3) float64 in the frame of the points, and faces (F, 3) int32, counter-clockwise seen from
        outside: one component, every edge between two faces, every vertex in one fan, no vertex unused.

    Raises:
        DataError: fewer than 32 different points, a coordinate that is no number, or points in a plane or on a line.
    """
    points = np.asarray(points, dtype=np.float64)
    _refuse(points)
    rng = np.random.default_rng(seed)
    if len(points) > most_points:
        points = points[np.sort(rng.choice(len(points), size=most_points, replace=False))]
    points = np.unique(points, axis=0)
    _refuse(points)
    middle, half = (points.min(axis=0) + points.max(axis=0)) / 2, np.ptp(points, axis=0).max() / 2
    unit = (points - middle) / half
    order = farthest_first(unit, int(rng.integers(len(unit))))
    vertices, faces = _proxy(unit[order], rng.normal(0.0, JITTER, unit.shape), most_vertices)
    return vertices * half + middle, faces.astype(np.int32)


def _refuse(points: np.ndarray) -> None:
    """DataError for a cloud that encloses no volume."""
    hint = "Choose another sequence, or check its masks and cameras."
    if points.ndim != 2 or points.shape[1] != 3:
        raise DataError(f"A cloud of shape {points.shape} is none of (N, 3).", hint)
    if not np.isfinite(points).all():
        raise DataError("A point of the cloud is no number.", hint)
    if len(points) < FEWEST_POINTS:
        raise DataError(f"A cloud of {len(points)} different points is too small for a mesh.", hint)
    extents = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if extents[2] <= FLATTEST * extents[0]:
        raise DataError("The points of the cloud lie in a plane, or all in one place.", hint)


def start_alpha(points: np.ndarray) -> float:
    """Mean over points (N, 3) of the q-quantile of the distances to all points, q = max(0.01, 3/N).

    As np.quantile interpolates, its own distance of zero included; only as many neighbours are searched as that needs.
    """
    position = max(QUANTILE, NEIGHBOURS / len(points)) * (len(points) - 1)
    below = int(position)
    above = min(below + 1, len(points) - 1)
    distances = cKDTree(points).query(points, k=[below + 1, above + 1])[0]
    return float((distances[:, 0] + (position - below) * (distances[:, 1] - distances[:, 0])).mean())


def farthest_first(points: np.ndarray, start: int) -> np.ndarray:
    """(N,) order of points (N, 3) in which each is the farthest from those before it: prefixes are thinned clouds."""
    order = np.empty(len(points), dtype=np.int64)
    x, y, z = np.ascontiguousarray(points.T)
    nearest = np.full(len(points), np.inf)
    for i in range(len(points)):
        order[i] = start
        np.minimum(nearest, (x - x[start]) ** 2 + (y - y[start]) ** 2 + (z - z[start]) ** 2, out=nearest)
        start = int(nearest.argmax())
    return order


def _proxy(points: np.ndarray, jitter: np.ndarray, most_vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """The recipe on distinct points in farthest-first order, within [-1, 1]; `jitter` (N, 3) only while it connects."""
    alpha, kept = start_alpha(points), len(points)
    for _ in range(MOST_ROUNDS):
        solid = Solid.of((points + jitter)[:kept])
        faces = None if solid is None else solid.outside(alpha)
        if faces is not None:
            small = _decimated(points[:kept], faces, most_vertices)
            if small is not None:
                return small
            alpha *= AGAIN_GROWTH
        else:
            alpha *= ALPHA_GROWTH
            kept = max(int(kept * THINNING), FEWEST_POINTS)
    return _hull(points, most_vertices)


@dataclass(frozen=True, eq=False)
class Solid:
    """Delaunay tetrahedra (T, 4) of points (N, 3), positively oriented, with circumradii and volumes (T,)."""

    points: np.ndarray
    tetrahedra: np.ndarray
    neighbours: np.ndarray
    radii: np.ndarray
    volumes: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> Solid | None:
        """The tetrahedra of a cloud; None where it has none."""
        try:
            delaunay = Delaunay(points)
        except QhullError:
            return None
        tetrahedra, neighbours = delaunay.simplices.copy(), delaunay.neighbors.copy()
        edges = points[tetrahedra[:, 1:]] - points[tetrahedra[:, :1]]
        volumes = np.linalg.det(edges) / 6
        turned = volumes < 0
        tetrahedra[turned, :2] = tetrahedra[turned, 1::-1]
        neighbours[turned, :2] = neighbours[turned, 1::-1]
        a, b, c = edges.transpose(1, 0, 2)
        lengths = (edges**2).sum(axis=2)
        top = (
            lengths[:, 0, None] * np.cross(b, c)
            + lengths[:, 1, None] * np.cross(c, a)
            + lengths[:, 2, None] * np.cross(a, b)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            radii = np.linalg.norm(top, axis=1) / (12 * np.abs(volumes))
        radii[~np.isfinite(radii)] = np.inf
        return cls(points, tetrahedra, neighbours, radii, np.abs(volumes))

    def outside(self, alpha: float) -> np.ndarray | None:
        """Faces (F, 3) around the largest part of the alpha shape; None where they do not close or hold too little."""
        inside = self.radii < alpha
        if not inside.any():
            return None
        part = self._largest_part(inside)
        held = len(np.unique(self.tetrahedra[part]))
        if held < LEAST_HELD * len(self.points):
            return None
        neighbour_in = np.where(self.neighbours >= 0, part[self.neighbours], False)
        owner, corner = np.nonzero(part[:, None] & ~neighbour_in)
        faces = np.take_along_axis(self.tetrahedra[owner], FACES_OF_A_TETRAHEDRON[corner], axis=1)
        faces = _largest_surface(self.points, faces)
        return faces if is_closed(faces) else None

    def _largest_part(self, inside: np.ndarray) -> np.ndarray:
        """(T,) bool: of the tetrahedra `inside`, those of the part of the largest volume; faces connect."""
        owner, corner = np.nonzero(self.neighbours >= 0)
        other = self.neighbours[owner, corner]
        both = inside[owner] & inside[other]
        graph = coo_array((np.ones(both.sum(), bool), (owner[both], other[both])), shape=(len(inside),) * 2)
        labels = connected_components(graph, directed=False)[1]
        volumes = np.bincount(labels, weights=self.volumes * inside)
        return inside & (labels == volumes.argmax())


def _largest_surface(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Of closed surfaces that share no vertex the one that encloses the most: the outside, not a cavity."""
    labels = _parts(faces)
    return faces[labels == np.bincount(labels, weights=_enclosed(points, faces)).argmax()]


def _parts(faces: np.ndarray) -> np.ndarray:
    """(F,) which part each face is of; a common vertex connects."""
    used, index = np.unique(faces, return_inverse=True)
    index = index.reshape(faces.shape)
    pairs = np.concatenate([index[:, :2], index[:, 1:]])
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(used),) * 2)
    return connected_components(graph, directed=False)[1][index[:, 0]]


def _enclosed(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) signed volume between each face and the origin; over a closed surface they add up to what it encloses."""
    return np.linalg.det(points[faces]) / 6


def is_closed(faces: np.ndarray) -> bool:
    """Whether faces (F, 3) make a closed oriented manifold: each edge once each way, each vertex in one fan."""
    if len(faces) < 4:
        return False
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    count = int(faces.max()) + 1
    there, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    there.sort()
    back.sort()
    if (np.diff(there) == 0).any() or (there != back).any() or (edges[:, 0] == edges[:, 1]).any():
        return False
    # Around a vertex each corner is followed by the one that shares its edge. One fan: as many cycles as vertices.
    corners = np.arange(3 * len(faces)).reshape(-1, 3)
    leaving = np.empty(3 * len(faces), dtype=np.int64)
    leaving[:] = faces.ravel()
    out_key = (faces * count + np.roll(faces, -1, axis=1)).ravel()  # edge leaving each corner
    in_key = (faces * count + np.roll(faces, 1, axis=1)).ravel()  # edge arriving at it, turned round
    following = np.argsort(out_key)[np.searchsorted(np.sort(out_key), in_key)]
    graph = coo_array((np.ones(len(following), bool), (corners.ravel(), following)), shape=(len(following),) * 2)
    return connected_components(graph, directed=False)[0] == len(np.unique(faces))


def _decimated(points: np.ndarray, faces: np.ndarray, most_vertices: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The surface with at most so many vertices, by quadric decimation; None where that tears or folds it."""
    from fast_simplification import simplify

    vertices, faces = _compact(points, faces)
    target = 2 * most_vertices
    small, triangles = vertices, faces
    while len(small) > most_vertices:
        if target < 4:
            return None
        small, triangles = simplify(vertices, faces, target_count=target)
        small, triangles = _compact(np.asarray(small, np.float64), np.asarray(triangles, np.int64))
        target = int(target * FEWER_FACES)
    if not is_closed(triangles) or _parts(triangles).any() or _enclosed(small, triangles).sum() <= 0:
        return None
    return small, triangles


def _compact(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without vertices that no face uses."""
    used, index = np.unique(faces, return_inverse=True)
    return np.ascontiguousarray(vertices[used]), np.ascontiguousarray(index.reshape(faces.shape))


def _hull(points: np.ndarray, most_vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """The convex hull of the first so many points."""
    try:
        hull = ConvexHull(points[:most_vertices])
    except QhullError as error:
        raise DataError("No closed mesh can be put around the cloud.", "Choose another sequence.") from error
    faces = hull.simplices.astype(np.int64)
    a, b, c = points[faces].transpose(1, 0, 2)
    inward = (np.cross(b - a, c - a) * hull.equations[:, :3]).sum(axis=1) < 0
    faces[inward] = faces[inward, ::-1]
    return _compact(points, faces)
