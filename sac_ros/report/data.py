"""Values in the form in which the page holds them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_ros.sim.arm import SimArm


def packed(values: NDArray[Any]) -> dict[str, Any]:
    """Return an array as base64 of little-endian float32 and its shape."""
    content = np.ascontiguousarray(values, '<f4').tobytes()
    return {'f32': base64.b64encode(content).decode(), 'shape': list(values.shape)}


def rounded(values: Any, digits: int) -> Any:
    """Return numbers, rounded to decimal places, as lists; what is not finite becomes None."""
    array = np.asarray(values, np.float64)
    if array.ndim:
        return [rounded(part, digits) for part in array]
    return round(float(array), digits) if np.isfinite(array) else None


def links_of(arm: SimArm) -> NDArray[np.float64]:
    """Return base, joints and tip of an arm as it is placed (n + 2, 3) [m], for a drawing."""
    return np.vstack((np.zeros(3), arm.joint_places, arm.tip_position))
