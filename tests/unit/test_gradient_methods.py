"""The gradient methods of the examples, held against what is known to be true of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from gradient_methods import (
    METHODS,
    aligned_mtl,
    alignment,
    combine,
    cosine_similarities,
    imtlg,
    mgda,
    pcgrad,
)
from molecule_policy import (
    Policy,
    entropy_slopes,
    fragment_policy,
    grow,
    log_probabilities,
    surrogate_slopes,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def some_gradients(seed, objectives=4, parameters=30):
    scales = rng(seed).uniform(0.1, 10.0, (objectives, 1))
    return rng(seed + 1000).normal(size=(objectives, parameters)) * scales


def numeric_gradient(loss, parameters, step=1e-6):
    slopes = np.empty_like(parameters)
    for index, value in enumerate(parameters):
        parameters[index] = value + step
        above = loss()
        parameters[index] = value - step
        below = loss()
        parameters[index] = value
        slopes[index] = (above - below) / (2 * step)
    return slopes


def small_policy_and_decisions():
    policy = Policy([5, 7, 6, 4], rng(1))
    inputs = rng(2).normal(size=(9, 5))
    allowed = rng(3).random((9, 4)) < 0.7
    allowed[:, 0] = True
    actions = np.array([rng(4 + row).choice(np.flatnonzero(allowed[row])) for row in range(9)])
    return policy, inputs, allowed, actions


@pytest.mark.parametrize("seed", range(5))
def test_mgda_is_as_short_as_the_best_of_a_fine_grid_over_the_simplex(seed):
    gradients = some_gradients(seed, objectives=3, parameters=2)
    grid = np.array([(a, b, 100 - a - b) for a, b in product(range(101), repeat=2) if a + b <= 100])
    shortest_on_grid = np.linalg.norm(grid / 100 @ gradients, axis=1).min()
    length = np.linalg.norm(mgda(gradients) @ gradients)
    assert length <= shortest_on_grid + 1e-9
    assert length >= shortest_on_grid - 0.01 * np.linalg.norm(gradients, axis=1).sum()


@pytest.mark.parametrize("seed", range(20))
def test_mgda_meets_the_closed_form_for_two_objectives(seed):
    first, second = gradients = some_gradients(seed, objectives=2, parameters=3)
    share = np.clip((second - first) @ second / np.sum((first - second) ** 2), 0.0, 1.0)
    assert mgda(gradients) == pytest.approx([share, 1.0 - share], abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_mgda_descends_every_objective_or_none(seed):
    gradients = some_gradients(seed)
    weights = mgda(gradients)
    direction = weights @ gradients
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() >= 0.0
    # At the min-norm point no gradient has less along the direction than the direction itself.
    slack = 1e-8 * np.sum(gradients**2)
    assert (gradients @ direction >= direction @ direction - slack).all()


def test_mgda_stands_still_where_two_gradients_are_opposed():
    gradients = np.array([[3.0, 0.0], [-1.0, 0.0]])
    assert mgda(gradients) @ gradients == pytest.approx([0.0, 0.0], abs=1e-9)


def test_pcgrad_sums_gradients_that_do_not_conflict():
    gradients = np.abs(some_gradients(0))
    assert pcgrad(gradients, rng()) @ gradients == pytest.approx(gradients.sum(axis=0))


def test_pcgrad_takes_from_each_of_two_gradients_its_part_against_the_other():
    first, second = gradients = np.array([[1.0, 0.0], [-1.0, 1.0]])
    surgery = first - (first @ second) / (second @ second) * second
    surgery_of_second = second - (first @ second) / (first @ first) * first
    assert surgery @ second == pytest.approx(0.0)
    assert pcgrad(gradients, rng()) @ gradients == pytest.approx(surgery + surgery_of_second)


@pytest.mark.parametrize("seed", range(20))
def test_pcgrad_harms_neither_of_two_conflicting_gradients(seed):
    first = rng(seed).normal(size=3)
    across = np.cross(first, rng(seed + 1).normal(size=3))
    gradients = np.stack([first, across - 0.5 * first])
    assert (gradients @ (pcgrad(gradients, rng(seed)) @ gradients) >= -1e-9).all()


@pytest.mark.parametrize("seed", range(10))
def test_imtlg_projects_equally_onto_every_gradient(seed):
    gradients = some_gradients(seed)
    weights = imtlg(gradients)
    units = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    projections = units @ (weights @ gradients)
    assert weights.sum() == pytest.approx(1.0)
    assert projections == pytest.approx(np.full(4, projections[0]))


def test_imtlg_survives_parallel_gradients():
    gradients = np.array([[1.0, 2.0], [2.0, 4.0], [1.0, 2.0]])
    weights = imtlg(gradients)
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(10))
def test_aligned_gradients_have_condition_number_one(seed):
    gradients = some_gradients(seed)
    before = np.linalg.svd(gradients, compute_uv=False)
    after = np.linalg.svd(alignment(gradients) @ gradients, compute_uv=False)
    assert before[0] / before[-1] > 1.5
    assert after == pytest.approx(np.full(4, before[-1]))


@pytest.mark.parametrize("seed", range(10))
def test_aligned_mtl_is_the_mean_of_the_aligned_gradients(seed):
    gradients = some_gradients(seed)
    aligned = alignment(gradients) @ gradients
    assert aligned_mtl(gradients) @ gradients == pytest.approx(aligned.mean(axis=0))
    # Orthogonal and equally long: the mean descends all of them alike.
    assert aligned @ aligned.mean(axis=0) == pytest.approx(np.full(4, np.sum(aligned[0] ** 2) / 4))


def test_alignment_leaves_out_a_direction_that_no_gradient_has():
    gradients = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    values = np.linalg.svd(alignment(gradients) @ gradients, compute_uv=False)
    assert values == pytest.approx([np.sqrt(2), np.sqrt(2), 0.0], abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_survives_gradients_of_zero(method):
    gradients = some_gradients(0)
    gradients[1] = 0.0
    assert np.isfinite(combine(method, gradients, rng())).all()
    assert combine(method, 0 * gradients, rng()) @ (0 * gradients) == pytest.approx(np.zeros(30))


def test_an_unknown_method_is_refused_with_the_names_of_the_known():
    with pytest.raises(ValueError, match=r"'sgd'.*mgda, pcgrad, imtlg, aligned_mtl"):
        combine("sgd", some_gradients(0), rng())


def test_cosine_similarities_forget_the_lengths():
    gradients = np.array([[3.0, 0.0], [0.0, 0.1], [-2.0, 0.0]])
    assert cosine_similarities(gradients) == pytest.approx(
        np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    )


def test_the_policy_gradient_agrees_with_finite_differences():
    policy, inputs, allowed, actions = small_policy_and_decisions()
    advantages = rng(5).normal(size=9)

    def surrogate():
        log_odds = log_probabilities(policy.forward(inputs)[-1], allowed)
        return -(advantages * log_odds[np.arange(9), actions]).sum()

    activations = policy.forward(inputs)
    log_odds = log_probabilities(activations[-1], allowed)
    exact = policy.backward(activations, surrogate_slopes(log_odds, actions, advantages))
    assert exact == pytest.approx(numeric_gradient(surrogate, policy.parameters), abs=1e-6)


def test_the_entropy_gradient_agrees_with_finite_differences():
    policy, inputs, allowed, _ = small_policy_and_decisions()

    def entropy():
        return entropy_slopes(log_probabilities(policy.forward(inputs)[-1], allowed))[0]

    activations = policy.forward(inputs)
    slopes = entropy_slopes(log_probabilities(activations[-1], allowed))[1]
    exact = policy.backward(activations, slopes)
    assert exact == pytest.approx(numeric_gradient(entropy, policy.parameters), abs=1e-6)


def test_growing_never_takes_a_fragment_that_is_not_allowed():
    rollout = grow(fragment_policy([8], rng()), list(range(12)) * 4, rng())
    assert rollout.allowed[np.arange(len(rollout.actions)), rollout.actions].all()
    assert not rollout.allowed.all()
    assert all(growth.finished for growth in rollout.growths)
