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

"""The default arm is a plausible machine, and the loader names what is wrong with a bad file."""

import mujoco
import numpy as np
import pytest
from policy_files import linear_policy, save

from sac_ros.cli.main import main
from sac_ros.config.robot import ArmConfig
from sac_ros.errors import ModelError
from sac_ros.robot.loader import default_model, load_robot
from sac_ros.sim.arm import SimArm
from sac_ros.sim.model import compile_model
from sac_ros.tasks.reach import reach_spec

ROBOT = load_robot()


def random_positions(rng, n):
    lower, upper = np.array(ROBOT.position_lower), np.array(ROBOT.position_upper)
    return rng.uniform(lower, upper, (n, len(lower)))


def test_default_arm_has_the_limits_of_its_file():
    assert ROBOT.joint_names == tuple(f'joint{i}' for i in range(1, 7))
    assert ROBOT.tip == 'tool0'
    assert ROBOT.torque_limit == (20, 20, 10, 3.5, 3.5, 3.5)
    assert ROBOT.velocity_limit == (4, 4, 5, 6.3, 6.3, 6.3)
    assert ROBOT.position_upper[1] == 2.0


def test_inertias_are_those_of_real_bodies():
    model = compile_model(ROBOT, ArmConfig())
    for body in range(1, model.nbody):
        a, b, c = sorted(model.body_inertia[body])
        assert a + b >= c * (1 - 1e-9), model.body(body).name
    assert 3 < model.body_mass.sum() < 10
    assert (model.dof_armature > 0).all()


def test_it_can_hold_its_own_weight_everywhere():
    arm = SimArm(ArmConfig())
    for position in random_positions(np.random.default_rng(0), 500):
        arm.reset(position)
        assert (np.abs(arm.data.qfrc_bias) < 0.8 * np.array(ROBOT.torque_limit)).all()


def test_gravity_compensation_holds_it_and_its_absence_does_not():
    posture = np.array([0.3, 0.8, 0.9, 0.2, 0.4, 0.0])
    drift = {}
    for compensated in (True, False):
        arm = SimArm(ArmConfig(gravity_compensation=compensated))
        arm.reset(posture)
        arm.step(np.zeros(6), 250)
        drift[compensated] = np.abs(arm.position - posture).max()
    assert drift[True] < 1e-6
    assert drift[False] > 0.1


def test_torque_plus_gravity_compensation_fits_the_actuator():
    arm = SimArm(ArmConfig())
    arm.reset(np.array([0, 1.5, 0, 0, 0, 0]))
    arm.step(np.full(6, 1e3))
    limit = np.array(ROBOT.torque_limit)
    assert (arm.applied_torque == limit).all()
    assert (np.abs(arm.data.qfrc_actuator) <= limit + 1e-9).all()


def test_a_minute_of_random_torques_stays_finite_and_slow():
    arm, rng = SimArm(ArmConfig()), np.random.default_rng(1)
    limit, fastest = np.array(ROBOT.torque_limit), np.zeros(6)
    for _ in range(1200):
        arm.step(rng.uniform(-1, 1, 6) * limit, 25)
        fastest = np.maximum(fastest, np.abs(arm.velocity))
    assert np.isfinite(arm.position).all()
    assert (fastest < 2 * np.array(ROBOT.velocity_limit)).all()


def test_the_same_robot_reformatted_has_the_same_hash(tmp_path):
    text = default_model().read_text()
    (tmp_path / 'same.urdf').write_text(text.replace('\n', '\n  ').replace('  <?xml', '<?xml'))
    (tmp_path / 'other.urdf').write_text(text.replace('mass value="', 'mass value="1', 1))
    assert load_robot(str(tmp_path / 'same.urdf')).model_hash == ROBOT.model_hash
    assert load_robot(str(tmp_path / 'other.urdf')).model_hash != ROBOT.model_hash


def test_another_tip_is_another_robot_for_a_policy(tmp_path, capsys):
    assert load_robot(tip='tool0').model_hash == ROBOT.model_hash
    file = tmp_path / 'one.xml'
    file.write_text("""<mujoco><worldbody><body name="a"><geom size=".1" mass="1"/>
      <joint name="j" actuatorfrcrange="-3 3"/><site name="near" pos="0 0 .1"/>
      <site name="far" pos="0 0 .2"/><site name="same" pos="0 0 .2"/></body>
      </worldbody></mujoco>""")
    robots = [load_robot(str(file), tip) for tip in ('', 'near', 'far')]
    assert len({robot.model_hash for robot in robots}) == 3
    assert load_robot(str(file), 'same').model_hash == robots[2].model_hash
    policy = save(linear_policy(reach_spec(ROBOT, 0.05, True)), tmp_path / 'policy.onnx')
    assert main(['evaluate', str(policy), '--arm.tip', 'link6']) == 2
    assert 'model_hash: policy' in capsys.readouterr().err


def test_an_mjcf_arm_loads_or_names_its_missing_torque_limit(tmp_path):
    arm = """<mujoco model="two"><worldbody><body name="a"><joint name="j1" axis="0 0 1" {one}/>
      <geom size=".1" mass="1"/><body name="b" pos="0 0 .3"><joint name="j2" type="slide" {two}/>
      <geom size=".1" mass="1"/></body></body></worldbody></mujoco>"""
    file = tmp_path / 'two.xml'
    file.write_text(arm.format(one='actuatorfrcrange="-3 3"', two='actuatorfrcrange="-7 7"'))
    robot = load_robot(str(file))
    assert robot.torque_limit == (3, 7)
    assert robot.chain.prismatic.tolist() == [False, True]
    assert SimArm(ArmConfig(model=str(file))).position.shape == (2,)
    file.write_text(arm.format(one='actuatorfrcrange="-3 3"', two=''))
    with pytest.raises(ModelError, match='no torque limit for j2; add'):
        load_robot(str(file))


@pytest.mark.parametrize('text', ['', '<robot', '<robot name="x"/>', 'not xml', '<mujoco/>'])
@pytest.mark.parametrize('suffix', ['.urdf', '.xml'])
def test_a_file_that_is_no_robot_is_refused(tmp_path, text, suffix):
    file = tmp_path / f'bad{suffix}'
    file.write_text(text)
    with pytest.raises(ModelError, match=r'bad\.'):
        load_robot(str(file))


def test_unknown_file_and_unknown_tip_are_refused():
    with pytest.raises(ModelError, match='absent'):
        load_robot('absent.urdf')
    with pytest.raises(ModelError, match=r'no body .gripper.*link6, tool0'):
        load_robot(tip='gripper')


def test_tip_is_where_mujoco_puts_it():
    model = compile_model(ROBOT, ArmConfig())
    assert model.body('tool0').id == mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, ROBOT.tip)
    arm = SimArm(ArmConfig())
    assert np.allclose(arm.tip_position, [0, 0, 0.85])
