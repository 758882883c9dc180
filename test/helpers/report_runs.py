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

"""Short runs for the tests of the report."""

from sac_ros.config.robot import ArmConfig, TaskConfig
from sac_ros.config.training import SACConfig, TrainConfig
from sac_ros.training.trainer import Trainer

JOINTS = ('<script>window.hacked=1</script>', 'elbow & wrist')
ARM = """<mujoco><compiler angle="radian"/><worldbody><body name="base">
<geom type="cylinder" size=".05 .05"/>
<body name="upper" pos="0 0 .1"><joint name="{0}" axis="0 0 1" range="-2 2" damping=".5"/>
<geom type="capsule" fromto="0 0 .05 .25 0 .1" size=".02" mass="1"/>
<body name="lower" pos=".3 0 .1"><joint name="{1}" axis="0 1 0" range="-2 2" damping=".5"/>
<geom type="capsule" fromto=".04 0 0 .2 0 0" size=".02" mass=".5"/>
<site name="tcp" pos=".25 0 0"/></body></body></body></worldbody>
<actuator><motor joint="{0}" ctrlrange="-8 8" ctrllimited="true"/>
<motor joint="{1}" ctrlrange="-8 8" ctrllimited="true"/></actuator></mujoco>"""
SAC = SACConfig(hidden=16, batch_size=16, gamma=0.9)


def escaped(text):
    return text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')


def train_arm(run_dir, seed):
    """Train a small arm whose joints have names that are markup; return the directory."""
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    model = run_dir.parent / 'arm.xml'
    model.write_text(ARM.format(*map(escaped, JOINTS)))
    config = TrainConfig(
        run_dir=str(run_dir), seed=seed, steps=60, learning_starts=20, gradient_steps=1,
        eval_every=60, eval_episodes=2, compile=False, video=False, sac=SAC,
        arm=ArmConfig(model=str(model)), task=TaskConfig(episode_steps=15),
    )  # fmt: skip
    Trainer(config).run()
    return run_dir
