"""`compress`: the map between the uncompressed breast and the breast between the paddles.

It is exact, invertible and keeps volume everywhere. Tissue moves in columns along the compression axis. With H the
height of a column in the uncompressed breast and T its height under compression, the Knothe-Rosenblatt rearrangement
(marginals along x, then conditionals along z) takes the mass H dx' dZ to T dx dz, and each column is scaled by T / H.
The plane of the chest wall, Z = 0, becomes the front of the pectoral muscle; behind it tissue goes on with negative Z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import beta, betainc

from mammosynth.phantom.anatomy.outline import BreastShape, Outline
from mammosynth.phantom.parameters import DETECTOR_MM
from mammosynth.terms import ViewPosition

TAIL_START = 0.5  # half heights above the nipple at which the axillary tail is fully there (assumed)
LEAST_TAIL = 0.02  # mass per length of the tail, relative to the row through the nipple
LARGEST_MUSCLE = 0.85  # of a row's depth


@dataclass(frozen=True, eq=False)
class ColumnMap:
    """Where the tissue of a compressed breast comes from. Between nodes all values are interpolated bilinearly.

    A compressed point (x, y, z) comes from x' = reference_x, y' = y * H / T + M, Z = reference_z, and
    (X, Y) = rotation.T @ (x', y').

    Attributes:
        view_position: CC or MLO.
        rotation: (2, 2), (x', y') = rotation @ (X, Y).
        x_mm: (Nx,) nodes, ascending; positive is lateral or cranial.
        z_mm: (Nz,) nodes from the chest wall on.
        thickness_mm: (Nx, Nz) T, 0 outside.
        inner_thickness_mm: (Nx, Nz) between the inner surfaces of the skin, 0 outside.
        reference_x: (Nx, Nz), constant along z.
        reference_z: (Nx, Nz), ascending along z; negative behind the front of the pectoral muscle.
        reference_height_mm: (Nx, Nz) H.
        reference_middle_mm: (Nx, Nz) M.
        front_mm: (Nx,) distance of the skin from the chest wall.
        nipple: (x, z) on the skin.
        muscle_edge_mm: (Nx,) z of the front of the pectoral muscle, 0 without muscle.
    """

    view_position: ViewPosition
    rotation: np.ndarray
    x_mm: np.ndarray
    z_mm: np.ndarray
    thickness_mm: np.ndarray
    inner_thickness_mm: np.ndarray
    reference_x: np.ndarray
    reference_z: np.ndarray
    reference_height_mm: np.ndarray
    reference_middle_mm: np.ndarray
    front_mm: np.ndarray
    nipple: tuple[float, float]
    muscle_edge_mm: np.ndarray

    def to_reference(self, points: np.ndarray) -> np.ndarray:
        """Move points to the uncompressed breast.

        Args:
            points: (N, 3) millimetres (x, y, z) between the paddles; x and z are held inside the nodes.
        """
        i, u = _cell(self.x_mm, points[:, 0])
        k, v = _cell(self.z_mm, points[:, 2])

        def at(values: np.ndarray) -> np.ndarray:
            return _bilinear(values, i, u, k, v)

        thickness = at(self.thickness_mm)
        scale = at(self.reference_height_mm) / np.where(thickness > 0, thickness, np.inf)
        across = points[:, 1] * scale + at(self.reference_middle_mm)
        plane = np.stack((at(self.reference_x), across), axis=-1) @ self.rotation
        return np.column_stack((plane, at(self.reference_z)))

    def to_compressed(self, points: np.ndarray) -> np.ndarray:
        """Move points of the uncompressed breast between the paddles: the exact inverse of `to_reference`.

        Args:
            points: (N, 3) millimetres (X, Y, Z); points that are not imaged go to the nearest nodes.
        """
        plane = points[:, :2] @ self.rotation.T
        i, u = _cell(self.reference_x[:, 0], plane[:, 0])
        k, v = _cell_of_rows(self.reference_z, i, u, points[:, 2])
        height = _bilinear(self.reference_height_mm, i, u, k, v)
        scale = _bilinear(self.thickness_mm, i, u, k, v) / np.where(height > 0, height, np.inf)
        y = (plane[:, 1] - _bilinear(self.reference_middle_mm, i, u, k, v)) * scale
        return np.column_stack((_between(self.x_mm, i, u), y, _between(self.z_mm, k, v)))


def compress(shape: BreastShape, view_position: ViewPosition, *, step_mm: float = 1.0) -> ColumnMap:
    """Compress a breast for one view.

    Args:
        shape: The breast.
        view_position: CC or MLO.
        step_mm: Distance of the nodes.
    """
    outline = shape.outline(view_position)
    x, z = _nodes(outline, step_mm)
    front = outline.front_mm(x)
    muscle = outline.pectoral_edge
    edge = np.zeros_like(x) if muscle is None else _held_below(muscle.depth_mm(x), LARGEST_MUSCLE * front)
    thickness, inner = _thickness(outline, shape.skin_mm, x, z, front)

    # The mass of every row in front of the muscle, and the share of it that lies behind each node.
    behind = _cumulative(thickness, z)
    at_edge = _integral_to(thickness, behind, z, edge)
    row_mass = behind[:, -1] - at_edge
    share = (behind - at_edge[:, None]) / np.maximum(row_mass, 1e-9)[:, None]
    mass = _cumulative(row_mass, x)
    if view_position is ViewPosition.CC:
        correction = shape.volume_mm3 / mass[-1]
    else:
        correction = shape.volume_mm3 / 2 / np.interp(outline.nipple_x_mm, x, mass)

    reference = _Reference(shape, outline)
    u = reference.position(mass * correction)
    profile = np.clip(1 - u**2, 0, None)
    if muscle is not None:
        upper = x >= outline.nipple_x_mm - step_mm / 2
        slope = 1 / (outline.nipple_x_mm - x[0])
        u[upper], profile[upper] = reference.upper_rows(row_mass[upper] * correction, step_mm, slope)
    t = reference.depth(share)
    rows = reference.half_extent_mm * u + _beside(x, row_mass)
    nipple = float(np.interp(0.0, rows, x))
    return ColumnMap(
        view_position=view_position,
        rotation=reference.rotation,
        x_mm=x,
        z_mm=z,
        thickness_mm=thickness * correction,
        inner_thickness_mm=inner * correction,
        reference_x=np.tile(rows[:, None], len(z)),
        reference_z=reference.row_depth_mm(profile)[:, None] * t + np.clip(z - front[:, None], 0, None),
        reference_height_mm=reference.row_height_mm(profile)[:, None] * reference.fall(t),
        reference_middle_mm=np.tile(reference.middle_mm(u)[:, None], len(z)),
        front_mm=front,
        nipple=(nipple, float(np.interp(nipple, x, front))),
        muscle_edge_mm=edge,
    )


class _Reference:
    """The uncompressed breast seen along the compression axis, in closed form.

    With u = x' / half_extent_mm, t = Z / row_depth_mm and a profile p = 1 - u^2, columns are row_height_mm times
    sqrt(1 - t^q) high, row_height ~ sqrt(p), row_depth ~ p^(1/q). So one table serves all rows: where along t a share
    of the row's mass is. In MLO, p is larger above the nipple, which makes the axillary tail.
    """

    def __init__(self, shape: BreastShape, outline: Outline) -> None:
        a, b, q, angle = shape.half_width_mm, shape.half_height_mm, shape.fullness, np.radians(outline.obliquity_deg)
        cosine, sine = np.cos(angle), np.sin(angle)
        self.rotation = np.array([[cosine, sine], [-sine, cosine]])
        self._depth_mm, self._q = shape.depth_mm, q
        across = (sine / a) ** 2 + (cosine / b) ** 2  # of y'^2 in the equation of the skin
        self._shear = cosine * sine * (1 / b**2 - 1 / a**2) / across
        self._half_height_mm = 1 / np.sqrt(across)
        self.half_extent_mm = a * b * np.sqrt(across)
        self._area = beta(1 / q, 1.5) / q  # integral of sqrt(1 - t^q) from 0 to 1
        self._t = np.sin(np.linspace(0, np.pi / 2, 1001))
        self._share = betainc(1 / q, 1.5, self._t**q)
        self._power = 0.5 + 1 / q  # the mass of a row goes with p to this power
        self._middle_row = 2 * self._half_height_mm * shape.depth_mm * self._area * self.half_extent_mm  # mass per u
        self._u = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 1001))
        mass = _cumulative((1 - self._u**2) ** self._power, self._u)
        self._mass = mass / mass[-1] * shape.volume_mm3

    def position(self, mass: np.ndarray) -> np.ndarray:
        """The row u below which a mass lies."""
        return np.interp(mass, self._mass, self._u)

    def upper_rows(self, row_mass: np.ndarray, step: float, slope: float) -> tuple[np.ndarray, np.ndarray]:
        """Places u and profile of rows from the nipple on: all of the breast, and as much of a tail as they need.

        Args:
            row_mass: (N,) mass per millimetre of the compressed rows.
            step: Between the rows.
            slope: Of u over the rows in the tail, so that rows there are stretched as the lower half is.
        """
        needed = row_mass / (slope * self._middle_row)

        def share(u: float, needed: float) -> float:
            way = min(u / TAIL_START, 1)
            tail = min(needed, 1) * way**2 * (3 - 2 * way)
            return (max(1 - u**2, 0) ** (8 * self._power) + max(tail, LEAST_TAIL) ** 8) ** 0.125

        u = np.zeros_like(row_mass)
        for i in range(len(u) - 1):  # Heun's method
            first = slope * needed[i] / share(u[i], needed[i])
            second = slope * needed[i + 1] / share(u[i] + step * first, needed[i + 1])
            u[i + 1] = u[i] + step * (first + second) / 2
        return u, np.array([share(*row) for row in zip(u, needed, strict=True)]) ** (1 / self._power)

    def depth(self, share: np.ndarray) -> np.ndarray:
        """The t behind which a share of the row's mass lies; behind the chest wall tissue goes on evenly."""
        return np.where(share < 0, self._area * share, np.interp(share, self._share, self._t))

    def fall(self, t: np.ndarray) -> np.ndarray:
        """Height of a column relative to the highest of its row."""
        return np.sqrt(1 - np.clip(t, 0, 1) ** self._q)

    def row_height_mm(self, profile: np.ndarray) -> np.ndarray:
        """Of the highest column of a row."""
        return 2 * self._half_height_mm * np.sqrt(profile)

    def row_depth_mm(self, profile: np.ndarray) -> np.ndarray:
        """From the chest wall to the skin."""
        return self._depth_mm * profile ** (1 / self._q)

    def middle_mm(self, u: np.ndarray) -> np.ndarray:
        """The middle of a column; it stops moving aside beyond the breast."""
        beyond = np.clip(u - 1, 0, None)
        return -self._shear * self.half_extent_mm * (np.minimum(u, 1) + 0.3 * (1 - np.exp(-beyond / 0.3)))


def _nodes(outline: Outline, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows through the nipple, at most to the edge of the detector, and columns; both reach beyond the skin."""
    x, z = outline.curve_mm
    first = np.floor((x[0] - outline.nipple_x_mm) / step - 1.5)
    top = min(x[-1] + 2 * step, DETECTOR_MM[0] / 2 + step) if outline.pectoral_edge else x[-1] + 2 * step
    last = np.floor((top - outline.nipple_x_mm) / step)
    return outline.nipple_x_mm + step * np.arange(first, last + 1), step * np.arange(np.ceil(z.max() / step + 1.5))


def _thickness(
    outline: Outline, skin: float, x: np.ndarray, z: np.ndarray, front: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(Nx, Nz) outer and inner thickness: a plateau under a tilted paddle with a semicircular rim."""
    step = z[1]
    rim = np.broadcast_to(
        outline.thickness_mm / 2 * (1 - outline.tilt * (z / outline.depth_mm - 0.5)), (len(x), len(z))
    )
    distance = _skin_distance(outline, x, z, front, reach=float(rim.max()) + step)
    near = distance > -step / 2
    outer, inner = np.zeros_like(distance), np.zeros_like(distance)
    outer[near] = _rounded(distance[near], rim[near], step)
    inner[near] = _rounded(distance[near] - skin, rim[near] - skin, step)
    return outer, inner


def _rounded(distance: np.ndarray, rim: np.ndarray, step: float) -> np.ndarray:
    """Thickness averaged over one step across the skin: its steep rise would leave steps between coarse nodes."""

    def integral(depth: np.ndarray) -> np.ndarray:
        w = np.clip(depth / rim, 0, 1)
        segment = np.arccos(1 - w) - (1 - w) * np.sqrt(w * (2 - w))
        return rim**2 * (segment + 2 * np.clip(depth / rim - 1, 0, None))

    return (integral(distance + step / 2) - integral(distance - step / 2)) / step


def _skin_distance(outline: Outline, x: np.ndarray, z: np.ndarray, front: np.ndarray, *, reach: float) -> np.ndarray:
    """(Nx, Nz) signed distance to the skin, positive inside; far where it is larger than the reach."""
    curve = np.stack(outline.curve_mm, axis=-1)
    steps = np.arange(1.0, 2 * reach)[:, None]
    before = curve[0] + (curve[0] - curve[4]) / np.hypot(*(curve[0] - curve[4])) * steps[::-1]
    after = curve[-1] + (curve[-1] - curve[-5]) / np.hypot(*(curve[-1] - curve[-5])) * steps
    curve = np.concatenate((before, curve, after))
    along = np.gradient(curve, axis=0)
    inward = np.stack((along[:, 1], -along[:, 0]), axis=-1) / np.hypot(*along.T)[:, None]

    distance = np.where(z < front[:, None], 2 * reach, -2 * reach)
    i, k = np.nonzero(z < front[:, None] + 2 * z[1])
    nodes = np.stack((x[i], z[k]), axis=-1)
    near, nearest = cKDTree(curve, balanced_tree=False, compact_nodes=False).query(nodes, distance_upper_bound=reach)
    found = np.isfinite(near)
    nearest = nearest[found]
    distance[i[found], k[found]] = ((nodes[found] - curve[nearest]) * inward[nearest]).sum(axis=-1)
    return distance


def _held_below(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The smaller of both, without a kink."""
    return values / (1 + (values / np.maximum(limits, 1e-6)) ** 8) ** 0.125


def _beside(x: np.ndarray, row_mass: np.ndarray) -> np.ndarray:
    """Distance to the breast of rows without tissue, so that x' ascends everywhere."""
    rows = np.flatnonzero(row_mass > 0)
    first, last = max(rows[0] - 1, 0), min(rows[-1] + 1, len(x) - 1)
    return np.minimum(x - x[first], 0) + np.maximum(x - x[last], 0)


def _cumulative(values: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Integral over the last axis from the first node on, of values that are linear between the nodes."""
    pieces = (values[..., 1:] + values[..., :-1]) / 2 * np.diff(nodes)
    return np.concatenate((np.zeros((*values.shape[:-1], 1)), np.cumsum(pieces, axis=-1)), axis=-1)


def _integral_to(values: np.ndarray, cumulative: np.ndarray, nodes: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Per row, the integral from the first node to a place between the nodes."""
    rows = np.arange(len(end))
    k, v = _cell(nodes, end)
    start, rise = values[rows, k], values[rows, k + 1] - values[rows, k]
    return cumulative[rows, k] + (start + rise * v / 2) * v * (nodes[k + 1] - nodes[k])


def _cell(nodes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval between nodes in which each value lies, and how far along it, 0 to 1."""
    index = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, len(nodes) - 2)
    return index, np.clip((values - nodes[index]) / (nodes[index + 1] - nodes[index]), 0, 1)


def _cell_of_rows(rows: np.ndarray, i: np.ndarray, u: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `_cell`, where the nodes of each value are the blend (1 - u) rows[i] + u rows[i + 1]; by bisection."""

    def node(k: np.ndarray) -> np.ndarray:
        return (1 - u) * rows[i, k] + u * rows[i + 1, k]

    low, high = np.zeros_like(i), np.full_like(i, rows.shape[1] - 1)
    while np.any(high - low > 1):
        middle = (low + high) // 2
        above = node(middle) <= values
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return low, np.clip((values - node(low)) / (node(low + 1) - node(low)), 0, 1)


def _between(nodes: np.ndarray, index: np.ndarray, part: np.ndarray) -> np.ndarray:
    return nodes[index] * (1 - part) + nodes[index + 1] * part


def _bilinear(values: np.ndarray, i: np.ndarray, u: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    lower = values[i, k] * (1 - v) + values[i, k + 1] * v
    upper = values[i + 1, k] * (1 - v) + values[i + 1, k + 1] * v
    return lower * (1 - u) + upper * u
