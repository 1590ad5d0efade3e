"""The training: REINFORCE for four objectives at once, their gradients combined by a method."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from gradient_methods import combine
from molecule_metrics import (
    Batch,
    Metrics,
    gradient_metrics,
    objective_metrics,
    property_metrics,
    scaffold_metrics,
)
from molecule_objectives import OBJECTIVES
from molecule_policy import (
    Rollout,
    entropy_slopes,
    fragment_policy,
    grow,
    log_probabilities,
    surrogate_slopes,
)
from molecule_space import SCAFFOLD_NAMES
from scaffold_ranking import clusters, pareto_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Which way the raw values are better: 1 for more, -1 for less.
_SIGNS = np.array([1.0 if one.direction == "maximize" else -1.0 for one in OBJECTIVES])


class Adam:
    """Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    Args:
        size: Number of parameters.
        beta1: Decay of the gradient's moving mean.
        beta2: Decay of the squared gradient's moving mean.
        epsilon: Keeps the division finite.
    """

    def __init__(self, size: int, beta1: float, beta2: float, epsilon: float) -> None:
        self._beta1, self._beta2, self._epsilon = beta1, beta2, epsilon
        self._mean, self._square = np.zeros(size), np.zeros(size)
        self._steps = 0

    def update(self, gradient: Array) -> Array:
        """Return what to subtract from the parameters at a learning rate of 1."""
        self._steps += 1
        self._mean += (1.0 - self._beta1) * (gradient - self._mean)
        self._square += (1.0 - self._beta2) * (gradient**2 - self._square)
        mean = self._mean / (1.0 - self._beta1**self._steps)
        square = self._square / (1.0 - self._beta2**self._steps)
        result: Array = mean / (np.sqrt(square) + self._epsilon)
        return result


class Trainer:
    """One run: a policy, its optimizer, and the history of what happened.

    Args:
        config: As ``molecule_config.make_config`` returns it.

    Attributes:
        history: For each metric the values of all steps, in order.
        best: The best molecule so far: its score averaged over the objectives, and its SMILES.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.history: dict[str, list[float]] = {}
        self.best: tuple[float, str] = (0.0, "")
        self._training = config["training"]
        self._molecules_per_step = (
            self._training["batch_size"] * self._training["gradient_accumulation_steps"]
        )
        self._rng = np.random.default_rng(config["seed"])
        self._policy = fragment_policy(config["model"]["hidden_sizes"], self._rng)
        settings = {key: value for key, value in config["optimizer"].items() if key != "name"}
        self._optimizer = Adam(len(self._policy.parameters), **settings)
        self._objective_weights = np.array([one["weight"] for one in config["objectives"]])
        self._expected: Array | None = None
        self._raw_means: Array | None = None
        self._seen: set[str] = set()
        self._started = time.perf_counter()
        self._steps = 0

    def step(self) -> Metrics:
        """Grow a batch of molecules, learn from it, and return the metrics of the step."""
        clock = [time.perf_counter()]
        rollout = grow(self._policy, self._draw_scaffolds(), self._rng)
        clock.append(time.perf_counter())
        batch = Batch.of(rollout.growths)
        scores = batch.scores()
        clock.append(time.perf_counter())
        metrics = self._learn(rollout, batch.scaffolds, scores)
        clock.append(time.perf_counter())
        self._remember_best(batch, scores)
        self._remember_raw(batch)
        metrics |= objective_metrics(batch) | property_metrics(batch, self._seen)
        if self.config["return_groups"]:
            metrics |= scaffold_metrics(batch, scores)
        clock.append(time.perf_counter())
        return self._record(metrics, np.diff(clock))

    def summary(self) -> dict[str, Any]:
        """Return the last value of every metric, and the best molecule."""
        if not self.history:
            return {}
        return {key: values[-1] for key, values in self.history.items()} | {
            "best/smiles": self.best[1]
        }

    def scaffolds(self) -> list[dict[str, Any]]:
        """Return each scaffold's moving mean raw scores, Pareto rank (1 is best) and cluster."""
        if self._expected is None or self._raw_means is None:
            return []
        ranks = pareto_ranks(self._raw_means * _SIGNS)
        groups = clusters(self._expected, self.config["n_clusters"])
        names = [objective.name for objective in OBJECTIVES]
        return [
            {
                "scaffold_id": scaffold,
                "scores": dict(zip(names, map(float, scores), strict=True)),
                "pareto_rank": int(rank),
                "cluster_id": int(group),
            }
            for scaffold, scores, rank, group in zip(
                SCAFFOLD_NAMES, self._raw_means, ranks, groups, strict=True
            )
        ]

    def _draw_scaffolds(self) -> list[int]:
        """Spread the batch evenly over the scaffolds, from a random one on."""
        first = int(self._rng.integers(len(SCAFFOLD_NAMES)))
        return [(first + index) % len(SCAFFOLD_NAMES) for index in range(self._molecules_per_step)]

    def _learn(self, rollout: Rollout, scaffolds: NDArray[np.int64], scores: Array) -> Metrics:
        baseline = self._baseline(scaffolds, scores)
        advantages = (scores - baseline)[rollout.episodes]
        activations = self._policy.forward(rollout.inputs)
        log_odds = log_probabilities(activations[-1], rollout.allowed)
        slopes = [
            surrogate_slopes(log_odds, rollout.actions, weight * advantage) / len(scores)
            for weight, advantage in zip(self._objective_weights, advantages.T, strict=True)
        ]
        gradients = np.stack([self._policy.backward(activations, one) for one in slopes])
        weights = combine(self.config["gradient_method"], gradients, self._rng)
        # The methods differ in scale; with weights of sum 1, beta means the same under all.
        weights = weights / max(float(np.abs(weights).sum()), np.finfo(np.float64).tiny)
        entropy, entropy_slope = entropy_slopes(log_odds)
        entropy_gradient = self._policy.backward(activations, entropy_slope)
        direction = weights @ gradients - self.config["beta"] * entropy_gradient
        chosen = log_odds[np.arange(len(rollout.actions)), rollout.actions]
        surrogates = -(chosen[:, None] * advantages).sum(axis=0) / len(scores)
        return (
            self._descend(direction)
            | self._losses(scores, baseline, surrogates, entropy)
            | gradient_metrics(gradients, direction, weights, self._policy.slices)
        )

    def _losses(self, scores: Array, baseline: Array, surrogates: Array, entropy: float) -> Metrics:
        """What is descended is the expected cost; the surrogates share only its gradient."""
        costs = self._objective_weights * (1.0 - scores.mean(axis=0))
        penalty = -self.config["beta"] * entropy
        metrics: Metrics = {
            "loss": float(costs.mean()) + penalty,
            "loss/cost": float(costs.mean()),
            "loss/baseline": float(((scores - baseline) ** 2).mean()),
            "loss/entropy": penalty,
            "entropy": entropy,
        }
        for index, objective in enumerate(OBJECTIVES):
            metrics[f"loss/{objective.name}"] = float(costs[index])
            metrics[f"loss/{objective.name}_surrogate"] = float(surrogates[index])
            metrics[f"baseline/{objective.name}"] = float(baseline[:, index].mean())
        return metrics

    def _baseline(self, scaffolds: NDArray[np.int64], scores: Array) -> Array:
        """Return what was expected of each molecule, and move the expectations on."""
        if self._expected is None:
            self._expected = np.tile(scores.mean(axis=0), (len(SCAFFOLD_NAMES), 1))
        moving = self.config["enable_moving_targets"]
        expected = self._expected[scaffolds] if moving else scores.mean(axis=0, keepdims=True)
        self._move(self._expected, scaffolds, scores)
        return expected

    def _move(self, means: Array, scaffolds: NDArray[np.int64], scores: Array) -> None:
        """Move the means of each scaffold on, towards those of its molecules."""
        decay = self._training["baseline_decay"]
        for scaffold in np.unique(scaffolds):
            mean = scores[scaffolds == scaffold].mean(axis=0)
            means[scaffold] += (1.0 - decay) * (mean - means[scaffold])

    def _learning_rate(self) -> float:
        """Warm up in a straight line, then fall along a cosine."""
        top, bottom = self._training["learning_rate"], self._training["min_learning_rate"]
        warmup, last = self._training["warmup_steps"], self._training["max_steps"]
        warmed = min(1.0, (self._steps + 1) / warmup)
        progress = max(0.0, (self._steps - warmup) / max(1, last - warmup))
        cosine = (1.0 + math.cos(math.pi * progress)) / 2.0
        return float(warmed * (bottom + (top - bottom) * cosine))

    def _descend(self, direction: Array) -> Metrics:
        """Take one step along the direction, clipped to the longest gradient allowed."""
        norm = float(np.linalg.norm(direction))
        limit = self._training["max_grad_norm"]
        clipped = direction * min(1.0, limit / norm) if norm else direction
        learning_rate = self._learning_rate()
        self._policy.parameters -= learning_rate * self._optimizer.update(clipped)
        return {
            "learning_rate": learning_rate,
            "grad_norm/clipped": min(norm, limit),
            "parameter_norm": float(np.linalg.norm(self._policy.parameters)),
        }

    def _remember_best(self, batch: Batch, scores: Array) -> None:
        means = scores.mean(axis=1)
        top = int(means.argmax())
        smiles = batch.smiles[top]
        if smiles and means[top] > self.best[0]:
            self.best = (float(means[top]), smiles)

    def _remember_raw(self, batch: Batch) -> None:
        raw = batch.raw_scores()
        valid = ~np.isnan(raw).any(axis=1)
        if not valid.any():
            return
        if self._raw_means is None:
            self._raw_means = np.tile(raw[valid].mean(axis=0), (len(SCAFFOLD_NAMES), 1))
        self._move(self._raw_means, batch.scaffolds[valid], raw[valid])

    def _record(self, metrics: Metrics, seconds: Array) -> Metrics:
        for part, duration in zip(("grow", "score", "learn", "measure"), seconds, strict=True):
            metrics[f"timing/{part}_seconds"] = float(duration)
        metrics |= {
            "timing/step_seconds": float(seconds.sum()),
            "timing/molecules_per_second": self._molecules_per_step / float(seconds.sum()),
            "best/score": self.best[0],
            "_step": self._steps,
            "_timestamp": time.time(),
            "_runtime": time.perf_counter() - self._started,
        }
        for key, value in metrics.items():
            self.history.setdefault(key, []).append(value)
        self._steps += 1
        return metrics
