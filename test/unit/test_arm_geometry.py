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

"""The geometry that a policy's file carries for displays."""

import json

import mujoco
import numpy as np
import pytest
from policy_files import linear_policy, reach_spec, save
from robot_texts import body, mjcf

from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.deploy.arm_geometry import ArmGeometry, angle_between, quaternion_of
from sac_ros.deploy.onnx_policy import OnnxPolicy
from sac_ros.errors import PolicyError
from sac_ros.sim.arm import SimArm
from sac_ros.sim.geometry import arm_geometry


@pytest.fixture(scope='module')
def geometry():
    return arm_geometry(SimArm(ArmConfig()), TaskConfig())


def test_quaternions_are_those_of_mujoco():
    rng = np.random.default_rng(0)
    half_turns = [np.diag(signs) for signs in ((1, -1, -1), (-1, 1, -1), (-1, -1, 1))]
    turns = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(50)]
    turns = [turn * np.sign(np.linalg.det(turn)) for turn in turns]
    for turn in [*half_turns, np.eye(3), *turns]:
        w_first = np.zeros(4)
        mujoco.mju_mat2Quat(w_first, np.ascontiguousarray(turn, float).ravel())
        found = quaternion_of(turn)
        assert abs(found @ np.roll(w_first, -1)) == pytest.approx(1, abs=1e-9)
        assert found[3] >= 0
    one, other = quaternion_of(turns[0]), quaternion_of(turns[0] @ np.diag([-1, -1, 1]))
    assert angle_between(one, other) == pytest.approx(np.pi)
    assert angle_between(one, -one) == pytest.approx(0, abs=1e-6)


def test_a_point_of_a_joints_axis_and_its_direction_are_in_its_frame(tmp_path):
    file = tmp_path / 'robot.xml'
    file.write_text(mjcf(body('f', joint='pos=".1 0 .05" actuatorfrcrange="-1 1"')))
    arm = SimArm(ArmConfig(model=str(file), joints='f,j0,j1'))
    geometry, names = arm_geometry(arm, TaskConfig()), arm.robot.joint_names
    arm.reset(np.full(3, 0.4))
    for joint, name in enumerate(names):
        frame = arm.data.body(geometry.frames[joint])
        turn = frame.xmat.reshape(3, 3)
        assert frame.xpos + turn @ geometry.anchor[joint] == pytest.approx(
            arm.data.joint(name).xanchor
        )
        assert turn @ geometry.axis[joint] == pytest.approx(arm.data.joint(name).xaxis)


def changed(geometry, *path, value):
    data = json.loads(geometry.to_json())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ('path', 'value', 'reason'),
    [
        (('chain', 'joint'), [0, 1, 2, 3, 4, 6], 'do not fit 6 joints'),
        (('chain', 'rotation'), [[1, 0, 0]], 'rotation has 1 entries, must have 7'),
        (('chain', 'ratio'), 5, 'must be of type list'),
        (('frames',), ['link1'], 'it has 1 frames for 6 joints'),
        (('axis', 0), [1, 0], 'axis has 2 entries, must have 3'),
        (('success_radius',), '0.05', 'must be a finite number'),
        (('table',), True, 'must be a finite number'),
        (('more',), 1, "must have ['"),
    ],
)
def test_a_wrong_geometry_is_refused(geometry, tmp_path, path, value, reason):
    text = changed(geometry, *path, value=value)
    with pytest.raises(ValueError) as refused:
        ArmGeometry.from_json(text, 6)
    assert reason in str(refused.value)
    spec = reach_spec(6)
    file = save(linear_policy(spec, geometry=text), tmp_path / 'policy.onnx')
    with pytest.raises(PolicyError, match=r'has a geometry .* export it again'):
        OnnxPolicy(file)
