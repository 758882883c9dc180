# Copyright 2026 sac_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

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
