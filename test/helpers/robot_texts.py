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

"""Small robot files for tests: a URDF arm of two joints, and MJCF chains with joints beyond."""

INERTIAL = """<inertial><origin xyz="0 0 .1"/><mass value="1"/>
  <inertia ixx=".01" ixy="0" ixz="0" iyy=".01" iyz="0" izz=".01"/></inertial>"""
SHAPE = """<collision><origin xyz="0 0 .1"/><geometry>
  <cylinder radius=".04" length=".2"/></geometry></collision>"""
LIMIT = '<limit lower="-2" upper="2" effort="20" velocity="3"/>'


def urdf(limit=LIMIT, kind='revolute', link=INERTIAL + SHAPE, more='', head=''):
    """Return an arm of the links base, l1 and l2 and the joints j1 and j2.

    Args:
        limit: of j2.
        kind: of j2.
        link: what l2 has.
        more: other links and joints.
        head: goes before the first link.
    """
    return f"""<robot name="two">{head}<link name="base">{INERTIAL}{SHAPE}</link>
      <link name="l1">{INERTIAL}{SHAPE}</link><link name="l2">{link}</link>
      <joint name="j1" type="revolute"><parent link="base"/><child link="l1"/>
        <origin xyz="0 0 .2"/><axis xyz="0 0 1"/>{LIMIT}</joint>
      <joint name="j2" type="{kind}"><parent link="l1"/><child link="l2"/>
        <origin xyz=".05 0 .2" rpy=".3 0 0"/><axis xyz="0 1 0"/>{limit}</joint>{more}</robot>"""


def child(name, parent, inside='', kind='revolute', axis='0 1 0'):
    """Return a link and the joint to it, for `more`; the joint is called as the link is."""
    return f"""<link name="{name}">{INERTIAL}</link>
      <joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{name}"/>
        <origin xyz="0 .02 .2" rpy=".1 0 .2"/><axis xyz="{axis}"/>{LIMIT}{inside}</joint>"""


def mjcf(end='', base='', after='', angle='radian'):
    """Return a chain of the actuated joints j0 and j1 with `end` in its last body.

    Args:
        end: bodies.
        base: what the base has.
        after: goes behind the bodies.
        angle: unit of the angles.
    """
    for number in (1, 0):
        end = f"""<body name="b{number}" pos="0 .02 .2" euler=".1 .2 0"><joint name="j{number}"
          axis="0 1 0" range="-1 1" actuatorfrcrange="-9 9" armature=".05" damping=".5"/>
          <geom type="capsule" size=".02" fromto="0 0 0 0 0 .15"/>{end}</body>"""
    return f"""<mujoco><compiler angle="{angle}"/><worldbody><body name="base">{base}
      <geom size=".05" contype="0" conaffinity="0"/>{end}</body></worldbody>{after}</mujoco>"""


def body(name, inside='', joint='', kind='hinge'):
    """Return a body with a joint of the same name, and a fixed body at its end."""
    return f"""<body name="{name}" pos="0 0 .2"><joint name="{name}" type="{kind}" axis="0 1 0"
      range="-2 2" armature=".01" {joint}/><geom type="capsule" size=".02" fromto="0 0 0 0 0 .15"/>
      {inside}<body name="{name}_end" pos=".05 0 .2"/></body>"""


def equality(*elements):
    """Return the section of an MJCF."""
    return f'<equality>{"".join(elements)}</equality>'


def coupled(joint, leader, coefficients):
    """Return an equality of two joints."""
    return f'<joint joint1="{joint}" joint2="{leader}" polycoef="{coefficients}"/>'
