"""Soft Actor-Critic as one pure function: `update(state, batch, noise) -> (state, metrics)`.

Haarnoja et al., 2018, "Soft Actor-Critic Algorithms and Applications", algorithm 1.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value

from sac_ros.config import SACConfig
from sac_ros.features import Features
from sac_ros.networks import Actor, Critics, Policy, sample_action
from sac_ros.spec import Chain, PolicySpec, Transition

log = logging.getLogger(__name__)

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam (Kingma and Ba, 2015)

Parameters = dict[str, Tensor]
Metrics = dict[str, Tensor]


class Moments(NamedTuple):
    """Adam's running means of the gradient and of its square."""

    first: Parameters
    second: Parameters


class LearnerState(NamedTuple):
    """Everything that an update reads and writes."""

    actor: Parameters
    critic: Parameters
    target_critic: Parameters
    temperature: Parameters  # one entry, log_alpha ()
    actor_moments: Moments
    critic_moments: Moments
    temperature_moments: Moments
    updates: Tensor  # () updates so far, float64 so that Adam's bias correction stays exact


Update = Callable[[LearnerState, Transition, Tensor], tuple[LearnerState, Metrics]]


class SAC:
    """The networks and equations of Soft Actor-Critic for one specification; it holds no state."""

    def __init__(self, spec: PolicySpec, chain: Chain | None, config: SACConfig) -> None:
        self.spec, self.chain, self.config = spec, chain, config
        self.features = Features(spec, chain)
        self._shape = (self.features.size, spec.n_action, config.hidden)
        self._actor, self._critics = Actor(*self._shape), self._new_critics()
        self.target_entropy = -config.target_entropy_scale * spec.n_action

    def initialize(self, seed: int, device: str = 'cpu') -> LearnerState:
        """Draw new parameters; equal seeds give equal states."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            actor = _parameters(Actor(*self._shape), device)
            critic = _parameters(self._new_critics(), device)
        self.features.to(device)
        log_alpha = torch.tensor(math.log(self.config.initial_alpha), device=device)
        temperature = {'log_alpha': log_alpha}
        return LearnerState(
            actor=actor,
            critic=critic,
            target_critic={name: value.clone() for name, value in critic.items()},
            temperature=temperature,
            actor_moments=_zeros(actor),
            critic_moments=_zeros(critic),
            temperature_moments=_zeros(temperature),
            updates=torch.zeros((), dtype=torch.float64, device=device),
        )

    def update(
        self, state: LearnerState, batch: Transition, noise: Tensor
    ) -> tuple[LearnerState, Metrics]:
        """Improve critics, actor and temperature once, then let the target follow.

        Args:
            state: left as it is.
            batch: float32 tensors with a leading dimension B; actions in [-1, 1].
            noise: standard normal (2, B, n_act): for the next action, for the current one.

        Returns:
            The new state, and scalar metrics.
        """
        updates = state.updates + 1
        both = torch.cat((batch.observation, batch.next_observation))
        features, next_features = self.features(both).chunk(2)
        alpha = state.temperature['log_alpha'].exp()

        target = self.soft_target(state, batch, next_features, alpha, noise[0])
        gradient, (critic_loss, q) = grad_and_value(self.critic_loss, has_aux=True)(
            state.critic, features, batch.action, target
        )
        critic, critic_moments = self._adam(state.critic, gradient, state.critic_moments, updates)

        gradient, (actor_loss, entropy) = grad_and_value(self.actor_loss, has_aux=True)(
            state.actor, critic, features, alpha, noise[1]
        )
        actor, actor_moments = self._adam(state.actor, gradient, state.actor_moments, updates)

        gradient, _ = grad_and_value(self.temperature_loss)(state.temperature, entropy)
        temperature, temperature_moments = self._adam(
            state.temperature, gradient, state.temperature_moments, updates
        )
        new = LearnerState(
            actor,
            critic,
            {k: torch.lerp(v, critic[k], self.config.tau) for k, v in state.target_critic.items()},
            temperature,
            actor_moments,
            critic_moments,
            temperature_moments,
            updates,
        )
        metrics = {
            'critic_loss': critic_loss,
            'actor_loss': actor_loss,
            'q': q.mean(),
            'alpha': alpha,
            'entropy': entropy,
        }
        return new, metrics

    def soft_target(
        self,
        state: LearnerState,
        batch: Transition,
        next_features: Tensor,
        alpha: Tensor,
        noise: Tensor,
    ) -> Tensor:
        """Return r + gamma (1 - terminated) (min_i Q'_i(s', a') - alpha log pi(a'|s')), (B,)."""
        action, log_prob = self._sample(state.actor, next_features, noise)
        q = self._q(state.target_critic, next_features, action).amin(dim=0)
        soft_value = q - alpha * log_prob
        y: Tensor = batch.reward + self.config.gamma * (1 - batch.terminated) * soft_value
        return y

    def critic_loss(
        self, critic: Parameters, features: Tensor, action: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return sum_i mean (Q_i(s, a) - y)^2 / 2, and Q (n_critics, B)."""
        q = self._q(critic, features, action)
        return 0.5 * (q - target).square().mean(dim=1).sum(), q

    def actor_loss(
        self, actor: Parameters, critic: Parameters, features: Tensor, alpha: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return mean (alpha log pi(a|s) - min_i Q_i(s, a)), a ~ pi, and the entropy."""
        action, log_prob = self._sample(actor, features, noise)
        q = self._q(critic, features, action).amin(dim=0)
        return (alpha * log_prob - q).mean(), -log_prob.mean()

    def temperature_loss(self, temperature: Parameters, entropy: Tensor) -> Tensor:
        """Return log alpha (H - target entropy): alpha rises while the entropy is too low.

        The gradient has the sign of that of J(alpha) in the paper and the same zero; its size
        does not shrink with alpha.
        """
        return temperature['log_alpha'] * (entropy - self.target_entropy)

    def act(self, actor: Parameters, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Map raw observations (B, n_obs) to actions (B, n_act); the mean action without noise."""
        mean, log_std = functional_call(self._actor, actor, (self.features(observation),))
        return torch.tanh(mean if noise is None else mean + log_std.exp() * noise)

    def assess(
        self, state: LearnerState, observation: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what the learner thinks of one situation, for people who watch.

        Args:
            state: of the learner.
            observation: raw, (1, n_obs).
            noise: standard normal (K, n_act), for the estimate of the entropy.

        Returns:
            The least of the critics' values of the mean action, and the entropy [nat]; scalars.
        """
        features = self.features(observation)
        mean, _ = functional_call(self._actor, state.actor, (features,))
        q = self._q(state.critic, features, torch.tanh(mean)).min()
        _, log_prob = self._sample(state.actor, features.expand(len(noise), -1), noise)
        return q, -log_prob.mean()

    def policy(self, state: LearnerState) -> Policy:
        """Return the deterministic policy of a state, on the CPU, for export."""
        actor = Actor(*self._shape)
        actor.load_state_dict(state.actor)
        return Policy(self.spec, Features(self.spec, self.chain), actor).eval()

    def _new_critics(self) -> Critics:
        return Critics(self.config.n_critics, *self._shape, self.config.layer_norm)

    def _sample(self, actor: Parameters, features: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = functional_call(self._actor, actor, (features,))
        return sample_action(mean, log_std, noise)

    def _q(self, critic: Parameters, features: Tensor, action: Tensor) -> Tensor:
        q: Tensor = functional_call(self._critics, critic, (features, action))
        return q

    def _adam(
        self, parameters: Parameters, gradient: Parameters, moments: Moments, updates: Tensor
    ) -> tuple[Parameters, Moments]:
        first = {k: torch.lerp(m, gradient[k], 1 - BETA1) for k, m in moments.first.items()}
        second = {
            k: torch.lerp(v, gradient[k].square(), 1 - BETA2) for k, v in moments.second.items()
        }
        step = (self.config.learning_rate / (1 - BETA1**updates)).float()
        root = (1 - BETA2**updates).sqrt().float()
        new = {
            k: p - step * first[k] / (second[k].sqrt() / root + EPSILON)
            for k, p in parameters.items()
        }
        return new, Moments(first, second)


def compiled(update: Update) -> Update:
    """Compile an update into one graph; where that fails, warn once and run it eagerly."""
    # Worker processes would hear Ctrl-C too, and one graph gives them nothing to share.
    os.environ.setdefault('TORCHINDUCTOR_COMPILE_THREADS', '1')
    fast = torch.compile(update, fullgraph=True, dynamic=False)
    chosen: list[Update] = []

    def call(
        state: LearnerState, batch: Transition, noise: Tensor
    ) -> tuple[LearnerState, Metrics]:
        if not chosen:
            try:
                result = fast(state, batch, noise)
            except Exception as error:  # noqa: BLE001 (a compiler can fail in any way)
                reason = str(error).strip().splitlines()[:1]
                log.warning('cannot compile the update, going on without: %s', *reason)
                chosen.append(update)
            else:
                chosen.append(fast)
                return result
        return chosen[0](state, batch, noise)

    return call


def _parameters(module: torch.nn.Module, device: str) -> Parameters:
    return {name: value.detach().to(device) for name, value in module.named_parameters()}


def _zeros(parameters: Parameters) -> Moments:
    return Moments(
        {name: torch.zeros_like(value) for name, value in parameters.items()},
        {name: torch.zeros_like(value) for name, value in parameters.items()},
    )
