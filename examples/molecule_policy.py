"""A small policy network that chooses fragments, with its backward pass written out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from molecule_space import FEATURES, FRAGMENTS, Growth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Policy:
    """A perceptron with tanh layers; all its parameters lie in one flat vector.

    Args:
        sizes: Units of each layer, from the inputs to the actions.
        rng: Draws the initial weights.
    """

    def __init__(self, sizes: Sequence[int], rng: np.random.Generator) -> None:
        self.slices: dict[str, slice] = {}
        self._shapes: list[tuple[int, int]] = list(pairwise(sizes))
        start = 0
        for number, (fan_in, fan_out) in enumerate(self._shapes):
            layer = "output" if number == len(self._shapes) - 1 else f"hidden{number + 1}"
            for part, size in (("weight", fan_in * fan_out), ("bias", fan_out)):
                self.slices[f"{layer}.{part}"] = slice(start, start + size)
                start += size
        self.parameters = np.zeros(start)
        for number, (weight, _) in enumerate(self._layers()):
            # A quiet last layer starts the policy near the uniform one.
            scale = 0.1 if number == len(self._shapes) - 1 else 1.0
            weight[:] = rng.normal(0.0, scale / np.sqrt(len(weight)), weight.shape)

    def forward(self, inputs: Array) -> list[Array]:
        """Return the activations of all layers: the inputs first, the logits last.

        Args:
            inputs: Shape (states, features).
        """
        activations = [inputs]
        for number, (weight, bias) in enumerate(self._layers()):
            signal = activations[-1] @ weight + bias
            activations.append(signal if number == len(self._shapes) - 1 else np.tanh(signal))
        return activations

    def backward(self, activations: list[Array], slopes: Array) -> Array:
        """Return the gradient of a loss by all parameters.

        Args:
            activations: What ``forward`` returned.
            slopes: The loss's gradient by the logits, shape (states, actions).

        Returns:
            Shape (parameters,).
        """
        gradient = np.empty_like(self.parameters)
        parts = list(self.slices.values())
        for number, (weight, _) in reversed(list(enumerate(self._layers()))):
            gradient[parts[2 * number]] = (activations[number].T @ slopes).ravel()
            gradient[parts[2 * number + 1]] = slopes.sum(axis=0)
            slopes = (slopes @ weight.T) * (1.0 - activations[number] ** 2)
        return gradient

    def _layers(self) -> list[tuple[Array, Array]]:
        """Weights and biases as views: to write into them is to write into the parameters."""
        parts = [self.parameters[part] for part in self.slices.values()]
        return [
            (parts[2 * number].reshape(shape), parts[2 * number + 1])
            for number, shape in enumerate(self._shapes)
        ]


@dataclass(frozen=True)
class Rollout:
    """Molecules grown by a policy, and each decision that was taken on the way.

    Args:
        growths: The finished molecules.
        episodes: Which molecule a decision belongs to, shape (decisions,).
        actions: The fragment chosen, shape (decisions,).
        inputs: What the policy saw, shape (decisions, features).
        allowed: What it could choose, shape (decisions, actions).
    """

    growths: list[Growth]
    episodes: NDArray[np.int64]
    actions: NDArray[np.int64]
    inputs: Array
    allowed: NDArray[np.bool_]


def grow(policy: Policy, scaffolds: Sequence[int], rng: np.random.Generator) -> Rollout:
    """Grow one molecule on each scaffold, all of them a decision at a time.

    Args:
        policy: Chooses the fragments.
        scaffolds: Indices of scaffolds, one a molecule.
        rng: Draws the choices from the policy's probabilities.

    Returns:
        The molecules and the decisions.
    """
    growths = [Growth(scaffold) for scaffold in scaffolds]
    rounds = []
    while open_ones := [index for index, growth in enumerate(growths) if not growth.finished]:
        inputs = np.stack([growths[index].features() for index in open_ones])
        allowed = np.stack([growths[index].allowed() for index in open_ones])
        log_odds = log_probabilities(policy.forward(inputs)[-1], allowed)
        # The largest of log-probabilities plus Gumbel noise is a draw from the probabilities.
        actions = np.argmax(log_odds + rng.gumbel(size=log_odds.shape), axis=1)
        for index, action in zip(open_ones, actions, strict=True):
            growths[index].choose(int(action))
        rounds.append((np.array(open_ones), actions, inputs, allowed))
    episodes, actions, inputs, allowed = (
        np.concatenate(part) for part in zip(*rounds, strict=True)
    )
    return Rollout(growths, episodes, actions, inputs, allowed)


def log_probabilities(logits: Array, allowed: NDArray[np.bool_]) -> Array:
    """Return the log-probabilities of actions, minus infinity for those not allowed.

    Args:
        logits: Shape (states, actions).
        allowed: The same shape; at least one a state.
    """
    masked = np.where(allowed, logits, -np.inf)
    shifted = masked - masked.max(axis=1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def surrogate_slopes(log_odds: Array, actions: NDArray[np.int64], advantages: Array) -> Array:
    """Return the gradient of REINFORCE's loss, -sum(advantages * log p(actions)), by the logits.

    Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement
    Learning", Machine Learning 8, 1992.

    Args:
        log_odds: Log-probabilities, shape (decisions, actions).
        actions: What was chosen, shape (decisions,).
        advantages: By how much each choice did better than expected, shape (decisions,).

    Returns:
        Shape (decisions, actions).
    """
    slopes: Array = np.exp(log_odds) * advantages[:, None]
    slopes[np.arange(len(actions)), actions] -= advantages
    return slopes


def entropy_slopes(log_odds: Array) -> tuple[float, Array]:
    """Return the mean entropy of decisions in nats, and its gradient by the logits.

    Args:
        log_odds: Log-probabilities, shape (decisions, actions).
    """
    probabilities = np.exp(log_odds)
    finite = np.where(probabilities > 0, log_odds, 0.0)
    entropies = -(probabilities * finite).sum(axis=1, keepdims=True)
    slopes: Array = -probabilities * (finite + entropies) / len(log_odds)
    return float(entropies.mean()), slopes


def fragment_policy(hidden_sizes: Sequence[int], rng: np.random.Generator) -> Policy:
    """Return a fresh policy over the fragments of the molecule space."""
    return Policy([FEATURES, *hidden_sizes, len(FRAGMENTS)], rng)
