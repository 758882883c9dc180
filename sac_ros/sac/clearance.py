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

"""Distance between the links of an arm, and from the table, as a function of its joints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sac_ros.sac.forward_kinematics import SQUARE, TipKinematics
from sac_ros.types import CollisionSpheres, KinematicChain


class Clearance(nn.Module):
    """Smallest distance between spheres that must not meet, and its gradient.

    d = -tau log sum exp(-d_p / tau) over all pairs p, a smooth minimum. Its gradient is that of
    virtual work: each sphere is pulled along the pair's normal, and the joint feels the moment.
    """

    SMOOTHNESS = 2**-9  # [m], exact in float32, in which ONNX keeps it

    from_frames: Tensor
    fixed: Tensor
    pairs: Tensor
    table: Tensor
    reach: Tensor
    moves: Tensor
    placement: Tensor
    normal: Tensor

    def __init__(self, chain: KinematicChain, spheres: CollisionSpheres, n_joints: int) -> None:
        """Take the spheres of an arm with `n_joints` actuated joints."""
        super().__init__()
        n_links, n_spheres = len(chain.joint), len(spheres.link)
        self.n_pairs, n_table = len(spheres.pair), len(spheres.above_table)
        pairs, table = torch.zeros(self.n_pairs, n_spheres), torch.zeros(n_table, n_spheres)
        rows = torch.arange(self.n_pairs)
        pairs[rows, spheres.pair[:, 0].tolist()] = 1.0
        pairs[rows, spheres.pair[:, 1].tolist()] = -1.0
        table[torch.arange(n_table), spheres.above_table.tolist()] = 1.0
        link, center = torch.tensor(spheres.link), torch.tensor(spheres.center).float()
        # The centers are linear in the frames of the links; those of link 0 do not move.
        from_frames = torch.zeros(n_links, 4, 4, n_spheres, 3)
        homogeneous = torch.cat((center, torch.ones(n_spheres, 1)), 1)  # (s, 4)
        for s in range(n_spheres):
            if link[s] > 0:
                for axis in range(3):
                    from_frames[link[s] - 1, axis, :, s, axis] = homogeneous[s]
        values = {
            'from_frames': from_frames.reshape(16 * n_links, 3 * n_spheres),
            'fixed': torch.where(link[:, None] > 0, torch.zeros(()), center).reshape(-1),
            'pairs': pairs,  # (p, s)
            'table': table,  # (t, s)
            'reach': torch.tensor(spheres.reach, dtype=torch.float32),  # (p + t,)
            'moves': (link[None] > torch.arange(n_links)[:, None]).float(),  # (c, s)
            'placement': torch.tensor(chain.placement(n_joints), dtype=torch.float32),  # (n, c)
            'normal': torch.tensor(spheres.normal, dtype=torch.float32),
        }
        for name, value in values.items():
            self.register_buffer(name, value)

    def forward(self, place: TipKinematics) -> tuple[Tensor, Tensor]:
        """Return the distance (B, 1) [m] and its gradient (B, n) [m/rad]."""
        center = place.frames.flatten(1) @ self.from_frames + self.fixed
        center = center.reshape(-1, self.pairs.shape[1], 3)  # (B, s, 3)
        between = self.pairs @ center  # (B, p, 3)
        length = (between.square().sum(2) + SQUARE).sqrt()
        gap = length
        if len(self.table):
            height = (self.table @ (center @ self.normal[:, None])).squeeze(2)  # (B, t)
            gap = torch.cat((length, height), 1)
        gap = gap - self.reach  # (B, p + t)
        nearest = gap.amin(1, keepdim=True)  # taken out, so that no exponential overflows
        share = torch.exp((nearest - gap) / self.SMOOTHNESS)
        total_share = share.sum(1, keepdim=True)
        soft = nearest - self.SMOOTHNESS * total_share.log()
        weight = share / total_share
        pull = (weight[:, : self.n_pairs] / length).unsqueeze(2)
        force = self.pairs.T @ (pull * between)  # (B, s, 3)
        if len(self.table):
            force = force + (self.table.T @ weight[:, self.n_pairs :].unsqueeze(2)) * self.normal
        wrench = self.moves @ torch.cat((torch.linalg.cross(center, force), force), 2)  # (B, c, 6)
        gradient = (place.screws * wrench).sum(2)  # (B, c)
        return soft, gradient @ self.placement.T
