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

"""Soft Actor-Critic as one pure function: `update(state, batch, noise) -> (state, metrics)`.

Haarnoja et al., 2018, "Soft Actor-Critic Algorithms and Applications", algorithm 1. What later
papers add is a setting each (`SACConfig`) and a line or two here.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value

from sac_ros.config.training import SACConfig
from sac_ros.sac import categorical
from sac_ros.sac.adam import BETA1, AdamState, Parameters, adam_state, adam_step
from sac_ros.sac.base_controller import Base, BaseController, entropy_weight, with_base
from sac_ros.sac.features import Features
from sac_ros.sac.forward_kinematics import TipKinematics
from sac_ros.sac.layers import Moments, Normalizer
from sac_ros.sac.networks import Actor, Critics, Policy, sample_action
from sac_ros.sac.state import CriticInputs, LearnerState, Noise, RunningStats
from sac_ros.spec import PolicySpec
from sac_ros.types import KinematicChain, Transition

Metrics = dict[str, Tensor]


class SAC:
    """The networks and equations of Soft Actor-Critic for one specification; it holds no state."""

    def __init__(
        self,
        spec: PolicySpec,
        chain: KinematicChain | None,
        config: SACConfig,
        controller: BaseController | None = None,
    ) -> None:
        config = config.for_spec(spec)
        self.spec, self.chain, self.config = spec, chain, config
        self.features, self.controller = Features(spec, chain), controller
        self.target_entropy = -config.target_entropy_scale * spec.n_action
        self._actor, self._critics = self._new_actor(), self._new_critics()
        self._normalizer = Normalizer(self.features.size)
        self._has_target = config.normalization != 'batch'

    def initialize(self, seed: int, device: str = 'cpu') -> LearnerState:
        """Draw new parameters; equal seeds give equal states."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            actor, critics = self._new_actor().to(device), self._new_critics().to(device)
        self.features.to(device)
        if self.controller is not None:
            self.controller.to(device)
        actor_params = {name: value.detach() for name, value in actor.named_parameters()}
        of_critics = {name: value.detach() for name, value in critics.named_parameters()}
        target = {k: v.clone() for k, v in of_critics.items()} if self._has_target else {}
        temperature = {
            'log_alpha': torch.tensor(math.log(self.config.initial_alpha), device=device)
        }
        observed: Moments = {}
        if self.config.normalize_observation:
            normalizer = Normalizer(self.features.size).to(device)
            observed = dict(normalizer.named_buffers())
        return LearnerState(
            actor_params,
            {k: v.clone() for k, v in actor_params.items() if self.config.actor_ema_rate < 1},
            of_critics,
            target,
            temperature,
            adam_state(actor_params),
            adam_state(of_critics),
            adam_state(temperature),
            RunningStats(observed, dict(actor.named_buffers()), dict(critics.named_buffers())),
        )

    def noise(self, draw: torch.Generator) -> Noise:
        """Draw what the next update needs, on the CPU."""
        config = self.config
        # Laid out by action, so that the compiler has whole vectors for exponentials of actions.
        shape = (2, self.spec.n_action, config.batch_size)
        next_action, action = torch.randn(shape, generator=draw).mT
        chosen = uniform = None
        if config.subset:
            chosen = torch.randperm(config.n_critics, generator=draw)[: config.target_critics]
        if config.dropout:
            sizes = (3, 2, config.n_critics, config.batch_size + config.hidden)
            uniform = torch.rand(sizes, generator=draw)
        return Noise(next_action, action, chosen, uniform)

    def update(
        self,
        state: LearnerState,
        batch: Transition,
        noise: Noise,
        discount: Tensor | None = None,
    ) -> tuple[LearnerState, Metrics]:
        """Improve critics, actor and temperature once, and let the target follow.

        Args:
            state: left as it is.
            batch: float32 tensors with a leading dimension B; actions in [-1, 1].
            noise: what `noise` drew.
            discount: of the next observation's value (B,), for n-step returns; None for gamma.

        Returns:
            The new state, and scalar metrics.
        """
        state, metrics, step = self._critic_step(state, batch, noise, discount)
        alpha = state.temperature['log_alpha'].exp()

        gradient, (actor_loss, (entropy, running)) = grad_and_value(self.actor_loss, has_aux=True)(
            state.actor, state, step, alpha, noise
        )
        actor, actor_adam = self._adam_step(state.actor, gradient, state.actor_adam)

        gradient, alpha_loss = grad_and_value(self.temperature_loss)(state.temperature, entropy)
        temperature, temperature_adam = self._adam_step(
            state.temperature, gradient, state.temperature_adam
        )
        state = state._replace(
            actor=actor,
            average_actor={
                k: torch.lerp(v, actor[k], self.config.actor_ema_rate)
                for k, v in state.average_actor.items()
            },
            actor_adam=actor_adam,
            temperature=temperature,
            temperature_adam=temperature_adam,
            running=state.running._replace(actor=running),
        )
        learned = {'actor_loss': actor_loss, 'alpha_loss': alpha_loss}
        return state, metrics | learned | {'alpha': alpha, 'entropy': entropy}

    def update_critics(
        self,
        state: LearnerState,
        batch: Transition,
        noise: Noise,
        discount: Tensor | None = None,
    ) -> tuple[LearnerState, Metrics]:
        """Improve the critics alone; with `policy_delay`, all but every so many-th update."""
        state, metrics, _ = self._critic_step(state, batch, noise, discount)
        return state, metrics

    def _critic_step(
        self, state: LearnerState, batch: Transition, noise: Noise, discount: Tensor | None
    ) -> tuple[LearnerState, Metrics, CriticInputs]:
        observed, step = self._prepare_batch(state, batch, noise, discount)
        gradient, (critic_loss, (q, moments)) = grad_and_value(self.critic_loss, has_aux=True)(
            state.critic, state, step, noise
        )
        critic, critic_adam = self._adam_step(state.critic, gradient, state.critic_adam)
        tau = self.config.tau
        new = state._replace(
            critic=critic,
            critic_adam=critic_adam,
            target_critic={
                k: torch.lerp(v, critic[k], tau) for k, v in state.target_critic.items()
            },
            running=state.running._replace(observation=observed, critic=moments),
        )
        return new, {'critic_loss': critic_loss, 'q': q.mean()}, step

    def _prepare_batch(
        self, state: LearnerState, batch: Transition, noise: Noise, discount: Tensor | None
    ) -> tuple[Moments, CriticInputs]:
        observations = torch.cat((batch.observation, batch.next_observation))
        place = self.features.place(observations)
        both = self.features(observations, place)
        base = self._base(observations, place)
        observed = state.running.observation
        if observed:
            observed = self._normalizer.updated(observed, both)
            both = functional_call(self._normalizer, observed, (both,))
        features, next_features = both.chunk(2)
        acting = (state.actor, state.running.actor)
        mean, log_std = functional_call(self._actor, acting, (next_features,))
        sample, log_prob = sample_action(mean, log_std, noise.next_action)
        now, later = (None, None) if base is None else base.halves()
        discount = (self.config.gamma if discount is None else discount) * (1 - batch.terminated)
        return observed, CriticInputs(
            features, batch.action, batch.reward, discount, next_features,
            with_base(later, sample), entropy_weight(later, log_prob) * log_prob, now,
        )  # fmt: skip

    def critic_loss(
        self, critic: Parameters, state: LearnerState, step: CriticInputs, noise: Noise
    ) -> tuple[Tensor, tuple[Tensor, Moments]]:
        """Return sum_i mean (Q_i(s, a) - y)^2 / 2, Q (n_critics, B) and new running moments.

        With batch renormalisation there is no target network: values before and after the step
        come from one pass, so that they are normalised alike (CrossQ, section 3). With atoms the
        loss is the cross-entropy to the distribution of y (`categorical_loss`).
        """
        masks = (None, None) if noise.uniform is None else noise.uniform[:2]
        alpha = state.temperature['log_alpha'].exp()
        running: Moments = state.running.critic
        if self.config.atoms:
            bonus = -alpha * step.next_log_prob.mean()
            running = running | categorical.expand_support(
                running, step.reward, step.discount, bonus
            )
        if not self._has_target:
            moments: Moments = {}
            both = self._outputs(
                (critic, running),
                torch.cat((step.features, step.next_features)),
                torch.cat((step.action, step.next_action)),
                moments=moments,
            )
            running = running | moments
            now, later = both.chunk(2, dim=1)
            later = later.detach()
        else:
            now = self._outputs((critic, running), step.features, step.action, masks[0])
            later = self._outputs(
                (state.target_critic, running), step.next_features, step.next_action, masks[1]
            )
        if noise.chosen is not None:
            later = later[noise.chosen]
        if self.config.atoms:
            q = categorical.expectation(now, running)
            return self.categorical_loss(now, later, step, alpha, running), (q, running)
        y = self.soft_target(later, step, alpha)
        return 0.5 * (now - y).square().mean(dim=1).sum(), (now, running)

    def categorical_loss(
        self,
        logits: Tensor,
        next_logits: Tensor,
        step: CriticInputs,
        alpha: Tensor,
        bounds: Moments,
    ) -> Tensor:
        """Return sum_i mean H(y, Z_i(s, a)), y = r + discount (Z'(s', a') - alpha log pi(a'|s')).

        Z' is the return as the critic of the least mean sees it.
        """
        least = categorical.min_critic_logits(next_logits, bounds)
        returns = categorical.atoms(bounds, least.shape[-1])
        soft_return = returns - (alpha * step.next_log_prob)[:, None]
        y = step.reward[:, None] + step.discount[:, None] * soft_return
        target = categorical.project_distribution(least.softmax(-1), y, bounds)
        return categorical.cross_entropy(logits, target).mean(dim=1).sum()

    def soft_target(self, next_q: Tensor, step: CriticInputs, alpha: Tensor) -> Tensor:
        """Return y = r + discount (min_i Q'_i(s', a') - alpha log pi(a'|s')), (B,)."""
        soft_value = next_q.amin(dim=0) - alpha * step.next_log_prob
        y: Tensor = step.reward + step.discount * soft_value
        return y

    def actor_loss(
        self,
        actor: Parameters,
        state: LearnerState,
        step: CriticInputs,
        alpha: Tensor,
        noise: Noise,
    ) -> tuple[Tensor, tuple[Tensor, Moments]]:
        """Return mean (alpha log pi(a|s) - Q(s, a)), a ~ pi, the entropy and running moments.

        Q is the least of the critics; with a random subset in the target, their mean (REDQ).
        """
        moments: Moments = {}
        acting = (actor, state.running.actor)
        mean, log_std = functional_call(
            self._actor, acting, (step.features,), {'moments': moments}
        )
        sample, log_prob = sample_action(mean, log_std, noise.action)
        action = with_base(step.base, sample)
        mask = None if noise.uniform is None else noise.uniform[2]
        q = self._q((state.critic, state.running.critic), step.features, action, mask)
        value = q.mean(dim=0) if self.config.subset else q.amin(dim=0)
        weight = entropy_weight(step.base, log_prob)
        loss = (alpha * weight * log_prob - value).mean()
        entropy = -(weight * log_prob).mean() / weight.mean().clamp(min=1e-6)
        return loss, (entropy, moments)

    def temperature_loss(self, temperature: Parameters, entropy: Tensor) -> Tensor:
        """Return log alpha (H - target entropy): alpha rises while the entropy is too low.

        The gradient has the sign of that of J(alpha) in the paper and the same zero; its size
        does not shrink with alpha.
        """
        return temperature['log_alpha'] * (entropy - self.target_entropy)

    def act(self, state: LearnerState, observation: Tensor, noise: Tensor | None) -> Tensor:
        """Map raw observations (B, n_obs) to actions (B, n_act) in [-1, 1].

        Args:
            state: of the learner.
            observation: raw.
            noise: None for the mean action of the averaged actor; standard normal (B, n_act)
                to draw one of the current actor, with gSDE (hidden, n_act).
        """
        features = self._features(state, observation)
        actor = self._eval_actor(state) if noise is None else state.actor
        acting = (actor, state.running.actor)
        if self.config.exploration == 'gsde':
            mean, _ = functional_call(self._actor, acting, (features, noise))
            return self.to_action(observation, torch.tanh(mean))
        mean, log_std = functional_call(self._actor, acting, (features,))
        raw = mean if noise is None else mean + log_std.exp() * noise
        return self.to_action(observation, torch.tanh(raw))

    def to_action(self, observation: Tensor, residual: Tensor) -> Tensor:
        """Return the action (B, n_act) of a residual in [-1, 1] at raw observations (B, n_obs).

        a = clip(base + authority * residual, -1, 1); without a base controller a = residual.
        """
        return with_base(self.base(observation), residual)

    def base(self, observation: Tensor) -> Base | None:
        """Return the base controller's output at raw observations (B, n_obs); None without one."""
        return self._base(observation, self.features.place(observation))

    def evaluate_state(
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
        q = self.value(state, observation, self.act(state, observation, None)).min()
        _, log_prob = sample_action(*self.distribution(state, observation), noise)
        return q, -log_prob.mean()

    def distribution(self, state: LearnerState, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log_std (B, n_act) of the action before the tanh."""
        acting = (state.actor, state.running.actor)
        mean, log_std = functional_call(self._actor, acting, (self._features(state, observation),))
        return mean, log_std

    def value(self, state: LearnerState, observation: Tensor, action: Tensor) -> Tensor:
        """Return every critic's value (n_critics, B) of actions (B, n_act) at raw observations."""
        features = self._features(state, observation)
        return self._q((state.critic, state.running.critic), features, action)

    def policy(self, state: LearnerState) -> Policy:
        """Return the deterministic policy of a state, on the CPU, for export."""
        actor = self._new_actor()
        actor.load_state_dict(self._eval_actor(state) | state.running.actor)
        normalizer = None
        if state.running.observation:
            normalizer = Normalizer(self.features.size)
            normalizer.load_state_dict(state.running.observation)
        controller = copy.deepcopy(self.controller)
        features = Features(self.spec, self.chain)
        return Policy(self.spec, features, normalizer, actor, controller).eval()

    def _base(self, observation: Tensor, place: TipKinematics | None) -> Base | None:
        if self.controller is None or place is None:
            return None
        base: Base = self.controller(observation, place)
        return base

    def _eval_actor(self, state: LearnerState) -> Parameters:
        return state.average_actor or state.actor

    def _new_actor(self) -> Actor:
        return Actor(self.features.size, self.spec.n_action, self.config)

    def _new_critics(self) -> Critics:
        return Critics(self.features.size, self.spec.n_action, self.config)

    def _features(self, state: LearnerState, observation: Tensor) -> Tensor:
        features: Tensor = self.features(observation)
        if state.running.observation:
            features = functional_call(self._normalizer, state.running.observation, (features,))
        return features

    def _q(
        self,
        critic: tuple[Parameters, Moments],
        features: Tensor,
        action: Tensor,
        uniform: Tensor | None = None,
    ) -> Tensor:
        q = self._outputs(critic, features, action, uniform)
        return categorical.expectation(q, critic[1]) if self.config.atoms else q

    def _outputs(
        self,
        critic: tuple[Parameters, Moments],
        features: Tensor,
        action: Tensor,
        uniform: Tensor | None = None,
        moments: Moments | None = None,
    ) -> Tensor:
        out: Tensor = functional_call(self._critics, critic, (features, action, uniform, moments))
        return out

    def _adam_step(
        self, parameters: Parameters, gradient: Parameters, state: AdamState
    ) -> tuple[Parameters, AdamState]:
        config = self.config
        beta1 = config.adam_beta1 if config.normalization == 'batch' else BETA1
        return adam_step(parameters, gradient, state, config.learning_rate, beta1)
