"""Distance between the links of an arm, and from the table, as a function of its joints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sac_ros.features import SQUARE, Kinematics, apply_matrices
from sac_ros.spec import Chain, CollisionSpheres


class Clearance(nn.Module):
    """Smallest distance between spheres that must not meet, and its gradient.

    d = -tau log sum exp(-d_p / tau) over all pairs p, a smooth minimum. Its gradient is that of
    virtual work: each sphere is pulled along the pair's normal, and the joint feels the moment.
    """

    SMOOTHNESS = 2**-9  # [m], exact in float32, in which ONNX keeps it

    incidence: Tensor
    reach: Tensor
    center: Tensor
    select: Tensor
    moves: Tensor
    placement: Tensor
    slides: Tensor
    normal: Tensor

    def __init__(self, chain: Chain, spheres: CollisionSpheres, n_joints: int) -> None:
        """Take the spheres of an arm with `n_joints` actuated joints."""
        super().__init__()
        n_links, n_spheres = len(chain.joint), len(spheres.link)
        n_pairs, n_table = len(spheres.pair), len(spheres.above_table)
        incidence = torch.zeros(n_pairs + n_table, n_spheres)
        rows = torch.arange(n_pairs)
        incidence[rows, spheres.pair[:, 0].tolist()] = 1.0
        incidence[rows, spheres.pair[:, 1].tolist()] = -1.0
        rows = n_pairs + torch.arange(n_table)
        incidence[rows, spheres.above_table.tolist()] = 1.0
        link = torch.tensor(spheres.link)
        values = {
            'incidence': incidence,  # (p, s)
            'reach': torch.tensor(spheres.reach, dtype=torch.float32),  # (p,)
            'center': torch.tensor(spheres.center, dtype=torch.float32),
            'select': torch.eye(n_links + 1)[link],  # (s, c+1)
            'moves': (link[None] > torch.arange(n_links)[:, None]).float(),  # (c, s)
            'placement': torch.tensor(chain.placement(n_joints), dtype=torch.float32),  # (n, c)
            'slides': torch.tensor(chain.prismatic),
            'normal': torch.tensor(spheres.normal, dtype=torch.float32),
        }
        self.n_pairs = n_pairs
        for name, value in values.items():
            self.register_buffer(name, value)

    def forward(self, place: Kinematics) -> tuple[Tensor, Tensor]:
        """Return the distance (B, 1) [m] and its gradient (B, n) [m/rad]."""
        batch, dtype = place.tip.shape[0], place.tip.dtype
        still = torch.eye(3, dtype=dtype, device=place.tip.device).expand(batch, 1, 3, 3)
        links = torch.cat((still, place.links), 1).flatten(2)  # (B, c+1, 9)
        origins = torch.cat((torch.zeros_like(place.origins[:, :1]), place.origins), 1)
        rotation = (self.select @ links).reshape(batch, -1, 3, 3)  # (B, s, 3, 3)
        center = self.select @ origins + apply_matrices(rotation, self.center)  # (B, s, 3)
        between = self.incidence[: self.n_pairs] @ center  # (B, p, 3)
        length = (between.square().sum(2) + SQUARE).sqrt()
        height = self.incidence[self.n_pairs :] @ (center @ self.normal[:, None])
        gap = torch.cat((length, height[:, :, 0]), 1) - self.reach  # (B, p)
        nearest = gap.amin(1, keepdim=True)  # taken out, so that no exponential overflows
        share = torch.exp((nearest - gap) / self.SMOOTHNESS)
        total_share = share.sum(1, keepdim=True)
        soft = nearest - self.SMOOTHNESS * total_share.log()
        weight = (share / total_share)[:, :, None]
        normal = between / length[:, :, None]
        normal = torch.cat((normal, self.normal.expand(batch, height.shape[1], 3)), 1)
        force = self.incidence.T @ (weight * normal)  # (B, s, 3)
        total = self.moves @ force  # (B, c, 3)
        moment = self.moves @ torch.linalg.cross(center, force)
        lever = moment - torch.linalg.cross(place.origins, total)
        columns = torch.where(self.slides[:, None], total, lever)
        gradient = (place.axes * columns).sum(2)  # (B, c)
        return soft, gradient @ self.placement.T
