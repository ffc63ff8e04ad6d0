"""The WGS 84 ellipsoid: its constants, and the area between parallels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tiles.arrays import Float64s

SEMI_MAJOR_M = 6378137.0
FLATTENING = 1 / 298.257223563
ECCENTRICITY_2 = FLATTENING * (2 - FLATTENING)
"""Square of the first eccentricity."""

_E = ECCENTRICITY_2**0.5


def authalic(lat: ArrayLike) -> Float64s:
    """Area in m2 per radian of longitude between the equator and a latitude (degrees) on the WGS 84 ellipsoid.

    Source: Snyder, Map Projections (1987), equation 3-12 (q), times a2/2.
    """
    s = np.sin(np.radians(np.asarray(lat, np.float64)))
    zone: Float64s = SEMI_MAJOR_M**2 * (1 - ECCENTRICITY_2) / 2 * (s / (1 - ECCENTRICITY_2 * s * s) + np.arctanh(_E * s) / _E)
    return zone
