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

"""Robot files as people have them: meshes, packages, inertials, held joints, servos, xacro."""

import shutil
import struct

import mujoco
import numpy as np
import pytest

from sac_ros.config.robot import ArmConfig
from sac_ros.errors import ModelError
from sac_ros.robot.loader import load_robot
from sac_ros.sim.arm import SimArm

CORNERS = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]])
FACES = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))

ARM = """<robot name="bought">
<link name="base"/>
<link name="upper">{inertial}
  <visual><geometry><mesh filename="{visual}"/></geometry></visual>
  <collision><geometry><mesh filename="{collision}"/></geometry></collision>
</link>
<link name="dummy"/>
<link name="lower"><visual><geometry><box size=".1 .1 .1"/></geometry></visual></link>
<link name="finger"><inertial><mass value=".1"/>
  <inertia ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"/></inertial></link>
<link name="thumb"><inertial><mass value="0"/>
  <inertia ixx="0" iyy="0" izz="0" ixy="0" ixz="0" iyz="0"/></inertial></link>
<joint name="j1" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 0 1"/>
  <origin xyz="0 0 .5"/><limit lower="-1" upper="1" effort="20" velocity="2"/></joint>
<joint name="j2" type="continuous"><parent link="upper"/><child link="dummy"/><axis xyz="0 1 0"/>
  <origin xyz="0 0 .2"/><limit effort="10" velocity="3"/></joint>
<joint name="j3" type="revolute"><parent link="dummy"/><child link="lower"/><axis xyz="1 0 0"/>
  <limit lower="-2" upper="2" effort="5" velocity="4"/></joint>
<joint name="grip" type="prismatic"><parent link="lower"/><child link="finger"/>
  <axis xyz="0 1 0"/><origin xyz="0 0 .1"/><limit lower=".01" upper=".04" {grip}/></joint>
<joint name="follow" type="prismatic"><parent link="lower"/><child link="thumb"/>
  <axis xyz="0 -1 0"/><limit lower="0" upper=".04" effort="5" velocity="1"/>
  <mimic joint="grip" multiplier="-1"/></joint>
</robot>"""
INERTIAL = """<inertial><mass value="1"/>
  <inertia ixx=".01" iyy=".01" izz=".01" ixy="0" ixz="0" iyz="0"/></inertial>"""


def binary_stl():
    triangles = (CORNERS[list(face)] for face in FACES)
    records = (struct.pack('<12fH', *np.zeros(3), *t.ravel(), 0) for t in triangles)
    return b'binary'.ljust(80) + struct.pack('<I', len(FACES)) + b''.join(records)


def text_stl():
    lines = ['solid thing']
    for face in FACES:
        lines += ['facet normal 0 0 0', 'outer loop']
        lines += [f'vertex {" ".join(map(str, CORNERS[corner]))}' for corner in face]
        lines += ['endloop', 'endfacet']
    return '\n'.join([*lines, 'endsolid']).encode()


def collada():
    """The tetrahedron in millimeters, turned and moved; a node below another one turns it back."""
    points = (1000 * CORNERS @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])) - [100, 0, 0]
    numbers = ' '.join(map(str, points.ravel()))
    two, rest = FACES[:2], FACES[2:]
    flat = ' '.join(f'{c} 0' for face in two for c in face)
    loose = ''.join(f'<p>{" ".join(f"{c} 0" for c in face)}</p>' for face in rest)
    corner = '<input semantic="VERTEX" source="#corners" offset="0"/><input semantic="NORMAL" '
    corner += 'source="#points" offset="1"/>'
    return f"""<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
    <asset><unit name="millimeter" meter="0.001"/><up_axis>Y_UP</up_axis></asset>
    <library_geometries><geometry id="shape"><mesh>
      <source id="points"><float_array id="a" count="12">{numbers}</float_array></source>
      <vertices id="corners"><input semantic="POSITION" source="#points"/></vertices>
      <polylist count="2">{corner}<vcount>3 3</vcount><p>{flat}</p></polylist>
      <polygons count="2">{corner}{loose}</polygons>
    </mesh></geometry></library_geometries>
    <library_visual_scenes><visual_scene id="s"><node><rotate>0 0 1 -90</rotate>
      <node><matrix>1 0 0 100 0 1 0 0 0 0 1 0 0 0 0 1</matrix>
        <instance_geometry url="#shape"/></node></node></visual_scene></library_visual_scenes>
    </COLLADA>"""


@pytest.fixture
def write(tmp_path):
    """Write a package with a URDF in it, and return the URDF."""

    def write(visual, collision, inertial=INERTIAL, grip='effort="5" velocity="1"'):
        package = tmp_path / 'arm_description'
        for folder in ('urdf', 'meshes'):
            (package / folder).mkdir(parents=True, exist_ok=True)
        (package / 'meshes/binary.stl').write_bytes(binary_stl())
        (package / 'meshes/text.STL').write_bytes(text_stl())
        (package / 'meshes/picture.dae').write_text(collada())
        (package / 'meshes/broken.dae').write_text('<COLLADA/>')
        (package / 'meshes/picture.glb').write_bytes(b'glTF')
        file = package / 'urdf/arm.urdf'
        text = ARM.format(visual=visual, collision=collision, inertial=inertial, grip=grip)
        file.write_text(text)
        return file

    return write


PACKAGE = 'package://arm_description/meshes/'


@pytest.mark.parametrize('mesh', [PACKAGE + 'binary.stl', '../meshes/binary.stl'])
def test_meshes_are_found_by_package_and_by_relative_path(write, mesh):
    file = write(mesh, '../meshes/text.STL')
    robot = load_robot(str(file), joints='j*')
    assert not [note for note in robot.notes if 'left out' in note]
    arm = SimArm(ArmConfig(), robot)
    assert (arm.model.geom_type == mujoco.mjtGeom.mjGEOM_MESH).sum() == 2
    assert (file.parents[1] / 'meshes/binary.stl').as_uri() in robot.urdf


def test_a_package_is_found_where_ros_says(write, tmp_path, monkeypatch):
    file = write(PACKAGE + 'binary.stl', PACKAGE + 'binary.stl')
    share = tmp_path / 'prefix/share'
    shutil.copytree(tmp_path / 'arm_description', share / 'arm_description')
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    moved = shutil.move(file, elsewhere / 'arm.urdf')
    shutil.rmtree(tmp_path / 'arm_description')
    with pytest.raises(ModelError, match=r'meshes of collision shapes are missing.*AMENT_PREFIX'):
        load_robot(str(moved))
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path / 'prefix'))
    assert str(share) in load_robot(str(moved)).urdf
    index = share / 'ament_index/resource_index/packages'
    index.mkdir(parents=True)
    (index / 'arm_description').touch()
    assert PACKAGE + 'binary.stl' in load_robot(str(moved)).urdf  # right on other machines, too


@pytest.mark.parametrize(
    ('name', 'reason'),
    [('picture.glb', 'in no format that can be read'), ('broken.dae', 'has no triangles')],
)
def test_visuals_that_cannot_be_read_are_kept_for_rviz(write, name, reason):
    robot = load_robot(str(write(PACKAGE + name, '../meshes/binary.stl')))
    (note,) = (note for note in robot.notes if name in note)
    assert 'left out of the simulation' in note
    assert reason in note
    assert name in robot.urdf
    assert SimArm(ArmConfig(), robot).model.body_mass.sum() > 1
    with pytest.raises(ModelError, match=f'collision shape: .*{name} .*convert it'):
        load_robot(str(write('../meshes/binary.stl', PACKAGE + name)))


def test_a_collada_mesh_has_its_unit_transforms_and_polygons(write):
    """The tetrahedron of the STL, in millimeters and placed by two nodes."""
    ours, stl = (
        SimArm(ArmConfig(), load_robot(str(write(PACKAGE + name, PACKAGE + name)), joints='j*'))
        for name in ('picture.dae', 'binary.stl')
    )
    for arm in (ours, stl):
        assert (arm.model.geom_type == mujoco.mjtGeom.mjGEOM_MESH).sum() == 2
    corners = [np.array(sorted(np.round(_world_corners(arm), 6).tolist())) for arm in (ours, stl)]
    assert np.allclose(*corners, atol=1e-6)


def _world_corners(arm):
    model, data = arm.model, arm.data
    geom = int(np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH)[0])
    mesh = model.geom_dataid[geom]
    first = model.mesh_vertadr[mesh]
    corners = model.mesh_vert[first : first + model.mesh_vertnum[mesh]]
    return corners @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]


def test_links_without_inertials_get_one_and_a_note(write):
    robot = load_robot(str(write('../meshes/binary.stl', '../meshes/binary.stl', inertial='')))
    model = SimArm(ArmConfig(), robot).model
    volume = 0.1**3 / 6
    assert model.body('upper').mass[0] == pytest.approx(1000 * volume, rel=1e-3)
    assert model.body('lower').mass[0] == pytest.approx(1.0)
    assert 0 < model.body('dummy').mass[0] < 0.01
    noted = ' '.join(robot.notes)
    assert all(f'{name} has n' in noted for name in ('upper', 'lower', 'dummy', 'thumb'))


def test_joints_that_are_not_actuated_are_held_in_range(write):
    file = str(write('../meshes/binary.stl', '../meshes/binary.stl'))
    robot = load_robot(file, joints='j1, j2,j3')
    assert robot.joint_names == ('j1', 'j2', 'j3')
    assert dict(robot.held) == {'grip': 0.01, 'follow': 0.0}
    assert robot.tip == 'lower'
    assert robot.velocity_limit == (2, 3, 4)
    assert robot.position_upper == (1, np.inf, 2)
    arm = SimArm(ArmConfig(), robot)
    arm.step(np.array([1.0, 1.0, 1.0]), 100)
    place = arm.model.body('finger').pos
    assert np.allclose(place, [0, 0.01, 0.1])


def test_a_gripper_without_limits_beside_the_chain_is_held(write):
    file = str(write('../meshes/binary.stl', '../meshes/binary.stl', grip='velocity="1"'))
    robot = load_robot(file, tip='lower')
    assert robot.joint_names == ('j1', 'j2', 'j3')
    assert 'grip' in dict(robot.held)


def test_one_error_names_all_missing_values_which_can_be_given(tmp_path):
    file = tmp_path / 'bare.xml'
    file.write_text("""<mujoco><worldbody><body name="a"><joint name="j1" axis="0 0 1"/>
      <geom size=".1" mass="1"/><body name="b" pos="0 0 .3"><joint name="j2" axis="0 1 0"/>
      <geom size=".1" mass="1"/></body></body></worldbody></mujoco>""")
    with pytest.raises(ModelError, match='no torque limit for j1, j2; add'):
        load_robot(str(file))
    robot = load_robot(str(file), torque_limits='j1=20,j2=5', velocity_limits='j*=3')
    assert robot.torque_limit == (20, 5)
    assert robot.velocity_limit == (3, 3)
    for wrong in ('j3=1', 'j1', 'j1=-1', 'j1=many'):
        with pytest.raises(ModelError, match='torque_limits'):
            load_robot(str(file), torque_limits=wrong)
    with pytest.raises(ModelError, match="no joint 'elbow' to actuate; it has j1, j2"):
        load_robot(str(file), joints='j1,elbow')


def test_servos_become_motors_with_the_least_of_their_limits(tmp_path):
    file = tmp_path / 'servos.xml'
    joint = '<joint name="{}" axis="0 1 0" armature=".1" {}/><geom size=".1" mass="1"/>'
    file.write_text(f"""<mujoco><worldbody><body name="a">{joint.format('j1', '')}
      <body pos="0 0 .3">{joint.format('j2', 'actuatorfrcrange="-8 8"')}
      <body name="c" pos="0 0 .3">{joint.format('j3', 'ref=".3" range="-90 90"')}
      <site name="point" pos="0 0 .1"/></body></body></body></worldbody><actuator>
      <position joint="j1" kp="100" forcerange="-30 30"/>
      <position joint="j2" kp="100" forcerange="-20 20"/>
      <motor joint="j3" gear="5" ctrlrange="-2 3"/></actuator>
      <keyframe><key qpos="0 0 0"/></keyframe></mujoco>""")
    robot = load_robot(str(file), tip='point')
    assert robot.torque_limit == (30, 8, 10)
    assert 'servos became torque motors: j1, j2' in robot.notes
    arm = SimArm(ArmConfig(), robot)
    arm.reset(np.array([0.2, 0.1, 0.4]))
    arm.step(np.array([1e3, -1e3, 1e3]))
    assert arm.data.qfrc_actuator.max() <= 30 + 1e-9


def test_a_tendon_driven_gripper_is_fixed_and_the_hand_the_tip(tmp_path):
    file = tmp_path / 'hand.xml'
    finger = '<body name="{0}"><joint name="{0}" type="slide" axis="0 {1} 0" range="0 .04"/>{2}'
    shape = '<geom size=".01" mass=".1"/></body>'
    file.write_text(f"""<mujoco><worldbody><body name="arm"><joint name="j1" axis="0 0 1"
      armature=".1"/><geom size=".1" mass="1"/><body name="hand" pos="0 0 .3">
      {finger.format('left', 1, shape)}{finger.format('right', -1, shape)}</body></body>
      </worldbody><tendon><fixed name="split"><joint joint="left" coef=".5"/>
      <joint joint="right" coef=".5"/></fixed></tendon>
      <equality><joint joint1="left" joint2="right"/></equality>
      <actuator><general joint="j1" biastype="affine" gainprm="50" biasprm="0 -50 -5"
      forcerange="-9 9"/><general tendon="split" forcerange="-99 99"/></actuator>
      <sensor><jointpos joint="left"/></sensor>
      <keyframe><key qpos="0 .04 .04" ctrl="0 255"/></keyframe></mujoco>""")
    robot = load_robot(str(file))
    assert (robot.joint_names, robot.tip, robot.torque_limit) == (('j1',), 'hand', (9,))
    assert set(dict(robot.held)) == {'left', 'right'}
    assert SimArm(ArmConfig(), robot).model.nv == 1


@pytest.fixture
def xacro_file(tmp_path):
    file = tmp_path / 'arm.urdf.xacro'
    file.write_text("""<robot name="x" xmlns:xacro="http://www.ros.org/wiki/xacro">
      <xacro:arg name="prefix" default=""/><xacro:arg name="torque" default="7"/>
      <link name="base"/><link name="tip">
      <visual><geometry><sphere radius=".1"/></geometry></visual></link>
      <joint name="$(arg prefix)j" type="continuous"><origin xyz="0 0 .5"/><parent link="base"/>
      <child link="tip"/><axis xyz="0 1 0"/><limit effort="$(arg torque)" velocity="1"/></joint>
      </robot>""")
    return str(file)


def test_xacro_is_run_or_asked_for(xacro_file, tmp_path):
    try:
        robot = load_robot(xacro_file)
    except ModelError as error:
        assert 'pip install xacro' in str(error)
        pytest.skip(f'xacro is not installed: {error}')
    assert (robot.joint_names, robot.torque_limit) == (('j',), (7,))
    robot = load_robot(xacro_file, xacro_args="prefix:=left_ torque:='3.5'")
    assert (robot.joint_names, robot.torque_limit) == (('left_j',), (3.5,))
    broken = tmp_path / 'broken.xacro'
    broken.write_text('<robot name="$(arg nowhere)"/>')
    with pytest.raises(ModelError, match='xacro refuses'):
        load_robot(str(broken))


@pytest.mark.parametrize('wrong', ['left_', '--inorder', "prefix:='left", ':=x'])
def test_arguments_of_another_form_never_reach_xacro(xacro_file, write, wrong):
    with pytest.raises(ModelError, match='xacro_args: '):
        load_robot(xacro_file, xacro_args=wrong)
    plain = write('../meshes/binary.stl', '../meshes/binary.stl')
    with pytest.raises(ModelError, match='takes no xacro_args'):
        load_robot(str(plain), xacro_args='prefix:=left_')
