"""The profile of a breast: an arc of an ellipse that goes on along its tangents, as a curve of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ARC_STEPS = 360
"""Of an arc: at 2850 px the chords of a half ellipse lie less than a tenth of a pixel inside it."""
FAR = 4.0
"""Length of the tangents in image heights: longer than any image."""


@dataclass(frozen=True)
class Profile:
    """An ellipse and the part of it that is seen; lengths in image heights, angles in degrees, positive downwards.

    Attributes:
        a: Semi-axis from the chest wall outwards.
        b: Semi-axis along the chest wall.
        phi: Of semi-axis a.
        x0: Centre, from the chest wall.
        y0: Centre, from the upper edge.
        start_angle: From semi-axis a to both ends of the arc.
    """

    a: float
    b: float
    phi: float
    x0: float
    y0: float
    start_angle: float

    def at(self, degrees: float | np.ndarray) -> np.ndarray:
        """(..., 2) x, y of places on the ellipse, by their angle from semi-axis a."""
        angle = np.radians(degrees)
        return np.array([self.x0, self.y0]) + self._turned(self.a * np.cos(angle), self.b * np.sin(angle))

    def normal_at(self, degrees: float | np.ndarray) -> np.ndarray:
        """(..., 2) unit vectors that point out of the breast there."""
        angle = np.radians(degrees)
        normal = self._turned(self.b * np.cos(angle), self.a * np.sin(angle))
        return normal / np.linalg.norm(normal, axis=-1, keepdims=True)

    def curve(self, depth: float = 0.0, steps: int = ARC_STEPS) -> np.ndarray:
        """(steps + 3, 2) x, y from the far end of the upper tangent over the arc to that of the lower one.

        Args:
            depth: How far inside the profile the curve runs.
            steps: Of the arc.
        """
        degrees = np.linspace(-self.start_angle, self.start_angle, steps + 1)
        arc = self.at(degrees) - depth * self.normal_at(degrees)
        upper, lower = self.tangents()
        return np.concatenate([[arc[0] + FAR * upper], arc, [arc[-1] + FAR * lower]])

    def region(self, depth: float = 0.0) -> np.ndarray:
        """(N, 2) corners of what lies between the curve and the chest wall, going on far behind it."""
        curve = self.curve(depth)
        return np.concatenate([curve, [[-2 * FAR, curve[-1, 1]], [-2 * FAR, curve[0, 1]]]])

    def tangents(self) -> np.ndarray:
        """(2, 2) unit vectors in which the profile goes on above and below."""
        normals = self.normal_at(np.array([-self.start_angle, self.start_angle]))
        return np.stack([[normals[0, 1], -normals[0, 0]], [-normals[1, 1], normals[1, 0]]])

    def closes_at(self) -> float | None:
        """Depth of the place where both tangents meet; None if they do not."""
        ends = self.at(np.array([-self.start_angle, self.start_angle]))
        upper, lower = self.tangents()
        across = upper[0] * lower[1] - upper[1] * lower[0]
        if abs(across) < 1e-9:
            return None
        apart = ends[1] - ends[0]
        along = (
            np.array([apart[0] * lower[1] - apart[1] * lower[0], apart[0] * upper[1] - apart[1] * upper[0]]) / across
        )
        return float(ends[0, 0] + along[0] * upper[0]) if (along > 0).all() else None

    def tightest_radius(self) -> float:
        """Smallest radius of curvature of the whole ellipse."""
        return min(self.a**2 / self.b, self.b**2 / self.a)

    def _turned(self, along: float | np.ndarray, across: float | np.ndarray) -> np.ndarray:
        cosine, sine = np.cos(np.radians(self.phi)), np.sin(np.radians(self.phi))
        return np.stack([along * cosine - across * sine, along * sine + across * cosine], axis=-1)
