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

"""Goals and starts are where people want them: above the table, in the box, clear of the arm."""

import math
from dataclasses import replace

import mujoco
import numpy as np
import pytest
from real_arms import ALL, real_arm, some_of

from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.deploy.safety_filter import SafetyConfig
from sac_ros.envs.inspection import sample_goals
from sac_ros.errors import ConfigError, ModelError
from sac_ros.sim.arm import SimArm
from sac_ros.tasks.posture_sampler import FIXED_CLEARANCE, TABLE_CLEARANCE
from sac_ros.tasks.reach import ReachTask
from sac_ros.tasks.registry import make_task

QUICK = ('default', 'openarm-left', 'jaco', 'panda-urdf', 'so101')
HANGING = """<mujoco><compiler angle="radian"/><worldbody><body name="torso"><geom size=".05"/>
  <body name="shoulder" pos="0 .1 0"><joint name="j1" axis="0 1 0" range="-.5 .5"
    actuatorfrcrange="-20 20" armature=".1"/><geom type="capsule" size=".03"
    fromto="0 0 0 0 0 -.3" mass="1"/>
  <body name="hand" pos="0 0 -.3"><joint name="j2" axis="1 0 0" range="-1 1"
    actuatorfrcrange="-9 9" armature=".1"/><geom type="capsule" size=".03"
    fromto="0 0 0 0 0 -.2" mass="1"/><site name="tcp" pos="0 0 -.25"/></body></body></body>
  </worldbody></mujoco>"""


@pytest.mark.parametrize('name', some_of(['default', *ALL], QUICK))
def test_every_goal_and_every_start_keeps_every_law(name):
    arm = real_arm(name)
    robot, task, rng = arm.robot, ReachTask(arm, TaskConfig()), np.random.default_rng(0)
    margin = SafetyConfig().position_margin
    lower, upper = np.array(robot.position_lower), np.array(robot.position_upper)
    margin = np.minimum(margin, (upper - lower) / 4)
    goals = [task.sample_posture(rng) for _ in range(100)]
    starts = [task.sample_start(rng) for _ in range(100)]
    for position in (*(goal.position for goal in goals), *starts):
        assert (position >= lower + margin - 1e-9).all()
        assert (position <= upper - margin + 1e-9).all()
        arm.reset(position)
        assert not arm.in_contact
    for goal in goals:
        arm.reset(goal.position)
        assert np.allclose(goal.tip, arm.tip_position)
        assert goal.tip @ robot.table.normal >= robot.table.height + TABLE_CLEARANCE
        assert distance_to_fixed_links(arm, goal.tip) >= FIXED_CLEARANCE - 1e-6
    assert np.std([goal.tip for goal in goals], axis=0).min() > 0.05


def distance_to_fixed_links(arm, point):
    """Return the distance of a point to all fixed shapes but planes [m]."""
    model, data, nearest = arm.model, arm.data, math.inf
    probe = model.geom('sac_ros_probe').id
    data.geom_xpos[probe] = point
    for geom in range(model.ngeom):
        solid = model.geom_contype[geom] or model.geom_conaffinity[geom]
        plane = model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE
        if model.body_weldid[model.geom_bodyid[geom]] == 0 and solid and not plane:
            away = mujoco.mj_geomDistance(model, data, probe, geom, 1.0, None)
            nearest = min(nearest, away + model.geom_size[probe, 0])
    return nearest


def test_an_arm_stands_on_its_mounting_plane_by_default():
    for text, height in (('', 0.0), ('-0.2', -0.2), ('0.05', 0.05)):
        arm = SimArm(ArmConfig(table=text))
        assert arm.robot.table.height == height
        goals = goals_of(arm, 200)
        assert height + TABLE_CLEARANCE <= goals[:, 2].min() < height + TABLE_CLEARANCE + 0.1
    bare = SimArm(ArmConfig(table='none'))
    assert goals_of(bare, 200)[:, 2].min() < -0.2
    assert (bare.model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE).all()
    for wrong in ('low', 'nan', '1 m'):
        with pytest.raises(ModelError, match='give its height in m, or none'):
            SimArm(ArmConfig(table=wrong))


def goals_of(arm, count=100, **settings):
    task, rng = ReachTask(arm, TaskConfig(**settings)), np.random.default_rng(0)
    return np.array([task.sample_goal(rng) for _ in range(count)])


def test_an_arm_below_its_mounting_plane_has_no_table(tmp_path):
    file = tmp_path / 'hanging.xml'
    file.write_text(HANGING)
    arm = SimArm(ArmConfig(model=str(file)))
    assert arm.robot.table.height == -math.inf
    (note,) = (n for n in arm.robot.notes if 'no table' in n)
    assert 'shoulder touches the table at 0 m in every posture' in note
    assert 'arm.table' in note
    assert goals_of(arm)[:, 2].max() < 0
    with pytest.raises(ModelError, match='shoulder touches the table at 0 m in every posture'):
        SimArm(ArmConfig(model=str(file), table='0'))
    low = SimArm(ArmConfig(model=str(file), table='-0.6'))
    assert goals_of(low, 20)[:, 2].min() >= -0.6 + TABLE_CLEARANCE


def test_links_in_the_table_and_pairs_in_contact_are_noted(tmp_path):
    file = tmp_path / 'sunk.xml'
    file.write_text("""<mujoco><compiler angle="radian"/><worldbody>
      <body name="base"><geom size=".02"/>
      <body name="turret"><joint name="j1" axis="0 0 1" range="-2 2" actuatorfrcrange="-9 9"
        armature=".1"/><geom type="cylinder" size=".05 .08" mass="1"/>
      <body name="upper" pos="0 0 .1"><joint name="j2" axis="0 1 0" range="-1 1"
        actuatorfrcrange="-9 9" armature=".1"/><geom type="box" size=".02 .02 .02" mass="1"/>
      <body name="lower" pos="0 0 .03"><joint name="j3" axis="0 1 0" range="-.4 .4"
        actuatorfrcrange="-9 9" armature=".1"/><geom type="capsule" size=".03"
        fromto="0 0 -.06 0 0 .3" mass="1"/></body></body></body></body></worldbody></mujoco>""")
    arm = SimArm(ArmConfig(model=str(file)))
    notes = ' '.join(arm.robot.notes)
    assert 'turret reaches 80 mm into the table in every posture' in notes
    assert 'turret and lower touch in every posture' in notes
    assert arm.robot.table.height == 0
    assert goals_of(arm)[:, 2].min() >= TABLE_CLEARANCE


def test_goals_are_drawn_in_the_workspace():
    arm = SimArm(ArmConfig())
    box = np.array([[0.2, -0.1, 0.3], [0.4, 0.2, 0.5]])
    goals = goals_of(arm, workspace='0.2 0.4 -0.1 0.2 0.3 0.5')
    assert (goals >= box[0]).all() and (goals <= box[1]).all()
    assert (goals.std(axis=0) > 0.03).all()
    assert goals_of(arm, 20, workspace='0.2,0.4,-0.1,0.2,0.3,0.5').shape == (20, 3)
    small = goals_of(arm, 20, workspace='0.3 0.32 0.1 0.12 0.4 0.42')
    assert (small >= [0.3, 0.1, 0.4]).all() and (small <= [0.32, 0.12, 0.42]).all()
    assert (small.std(axis=0) > 0.003).all()
    for name in ('reach-pose', 'track-point'):
        task = make_task(arm, TaskConfig(name=name, workspace='0 .5 -.5 .5 .2 .7'), 0.05)
        goals = sample_goals(task, 20)
        assert (goals >= [0, -0.5, 0.2]).all() and (goals <= [0.5, 0.5, 0.7]).all()


@pytest.mark.parametrize('text', ['1 2 3', 'a b c d e f', '0.4 0.2 0 1 0 1', '0 0 0 0 0 0'])
def test_a_workspace_that_is_no_box_is_refused(text):
    with pytest.raises(ConfigError, match='give six numbers in m, x_min x_max'):
        TaskConfig(workspace=text)


def test_an_error_names_the_constraint_that_rejects_most(tmp_path):
    arm = SimArm(ArmConfig())
    with pytest.raises(ModelError, match=r'no goal .* the tip is outside task.workspace: make'):
        goals_of(arm, 1, workspace='3 4 3 4 3 4')
    with pytest.raises(ModelError, match=r'no goal .* above the table at 0.9 m: give'):
        high = replace(arm.robot, table=arm.robot.table._replace(height=0.9))
        goals_of(SimArm(ArmConfig(), high), 1)
    file = tmp_path / 'cage.xml'
    file.write_text("""<mujoco><compiler angle="radian"/><worldbody>
        <body name="base"><geom type="box" size=".4 .4 .1"
        pos="0 0 .5"/><body name="arm" pos="0 0 .2"><joint name="j1" axis="0 0 1" range="-1 1"
        actuatorfrcrange="-9 9" armature=".1"/><geom size=".02" mass="1"/>
        <site name="tcp" pos=".3 0 .16"/></body></body></worldbody></mujoco>""")
    with pytest.raises(ModelError, match=r'no goal .* from a fixed link'):
        goals_of(SimArm(ArmConfig(model=str(file))), 1)
