"""Which settings matter for a target, and how surely."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.intervals import check_confidence
from training_db.analysis.sensitivity.association import association, merged
from training_db.analysis.sensitivity.partial_rank import partial_rank_correlation
from training_db.analysis.sensitivity.ranks import ranks
from training_db.analysis.sensitivity.sensitivity import Importance, Sensitivity
from training_db.analysis.sensitivity.shuffling import shuffle_groups
from training_db.errors import InvalidValue
from training_db.extras import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from training_db.analysis.sensitivity.settings_table import Setting

    Groups = list[tuple[Setting, ...]]

FEWEST_RUNS = 16
"""With fewer runs nothing is said: a forest learns from two thirds of them."""
_LEVEL = 0.05
_GOES_WITH = 0.5
_NAMED = 3
_RUNS_A_CONTROL = 4


def settings_importance(
    settings: Sequence[Setting],
    target: ArrayLike,
    *,
    name: str = "the target",
    seeds: int = 5,
    seed: int = 0,
    confidence: float = 0.95,
) -> Sensitivity:
    """Tell which settings matter for a target, by permutation importance of random forests.

    Forests predict the target's ranks from the settings, and each setting is shuffled among the
    runs that a tree has not seen: see
    :func:`~training_db.analysis.sensitivity.shuffling.shuffle_groups`.
    Ranks make the answer the same for a loss and for its logarithm, and one run that diverged to
    1e30 is no more than the worst (Iman & Conover, Technometrics 21, 1979).

    Half of what is lost by shuffling is the share of the variance that a setting makes, alone or
    with others: its total effect (M. J. W. Jansen, "Analysis of Variance Designs for Model Output",
    Computer Physics Communications 117, 1999; B. Gregorutti, B. Michel & P. Saint-Pierre,
    "Correlation and Variable Importance in Random Forests", Statistics and Computing 27, 2017).

    An importance is a mean over runs, and its interval is that of a mean over runs, as in D. S.
    Watson & M. N. Wright, "Testing Conditional Independence in Supervised Learning Algorithms",
    Machine Learning 110, 2021, with the variance between the repetitions added. A setting matters
    where it is above 0 by a t-test at 5 %, corrected for the number of settings (S. Holm, "A Simple
    Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979).

    Args:
        settings: Of the same runs, see
            :func:`~training_db.analysis.sensitivity.settings_table.settings_table`.
        target: Finite numbers of shape (runs,).
        name: What the target is called.
        seeds: How many forests, each with a shuffling of its own, at least 2.
        seed: Of all that is drawn.
        confidence: Of the intervals.

    Returns:
        The importances. It cannot be told which settings matter where there are fewer than 16
        runs, or where no setting is told from chance and all together predict runs that were held
        out no better than the mean does.

    Raises:
        InvalidValue: Lengths that differ, or a number that cannot be used.
        MissingExtra: scikit-learn or scipy is not installed.

    Example:
        >>> from training_db.analysis.sensitivity.settings_table import Setting
        >>> lr, depth = np.random.default_rng(0).normal(size=(2, 60))
        >>> settings = [Setting("lr", "numeric", lr), Setting("depth", "numeric", depth)]
        >>> found = settings_importance(settings, lr**3, name="loss")
        >>> [(one.name, one.matters) for one in found.importances]
        [('lr', True), ('depth', False)]
    """
    values = _checked(settings, target, seeds, seed)
    check_confidence(confidence)
    answer = Sensitivity(name, len(values), confidence=confidence)
    reason = _too_little(settings, values)
    if reason is not None:
        return replace(answer, reason=reason)
    groups = merged(settings)
    placed = ranks(values)
    matrix, columns = _design(groups)
    shuffled = shuffle_groups(matrix, columns, placed, seeds, seed)
    # The mean predicts a run by the others' mean, as the trees that have not seen it do.
    by_mean = (placed * len(placed) / (len(placed) - 1)) ** 2
    gain = (by_mean - shuffled.errors) / by_mean.mean()
    r2, r2_low, r2_high, chance = _mean(gain, confidence)
    r2_high = min(1.0, r2_high)
    importances = _importances(groups, shuffled.harm, placed, confidence)
    # Forests learn chance too, and predict worse than the mean where one setting matters a little.
    can_tell = chance < _LEVEL or any(one.matters for one in importances)
    return replace(
        answer,
        importances=tuple(importances),
        r2=r2,
        r2_low=r2_low,
        r2_high=r2_high,
        can_tell=can_tell,
        reason=None if can_tell else _no_power(len(values), r2, r2_low, r2_high),
    )


def _checked(
    settings: Sequence[Setting], target: ArrayLike, seeds: int, seed: int
) -> NDArray[np.float64]:
    for word, number, least in (("seeds", seeds, 2), ("seed", seed, 0)):
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise InvalidValue(f"{word} is {number!r}; pass a whole number, {least} or more")
    try:
        values = np.asarray(target, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.empty((0, 0))
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InvalidValue("the target is no row of finite numbers; leave out runs without one")
    for setting in settings:
        if setting.values.shape != values.shape:
            raise InvalidValue(
                f"{setting.name} has {len(setting.values)} values and the target {len(values)}; "
                "pass one of each for a run"
            )
    return values


def _too_little(settings: Sequence[Setting], values: NDArray[np.float64]) -> str | None:
    if len(values) < FEWEST_RUNS:
        return f"too few runs have a value of it: {len(values)}, and {FEWEST_RUNS} are needed"
    if not settings:
        return "no setting differs between the runs"
    if (values == values[0]).all():
        return f"it is {values[0]:g} in all {len(values)} runs"
    return None


def _no_power(runs: int, r2: float, low: float, high: float) -> str:
    return (
        f"over {runs} runs no setting is told from chance, and together they predict runs that "
        f"were held out no better than the mean (R2 {r2:.2f}, {low:.2f} to {high:.2f}); more runs "
        "may tell"
    )


def _design(groups: Groups) -> tuple[NDArray[np.float64], list[list[int]]]:
    """Return the columns that forests see, and which of them belong to each group."""
    parts: list[NDArray[np.float64]] = []
    owned: list[list[int]] = []
    for group in groups:
        start = len(parts)
        lead = group[0]
        if lead.is_ordered:
            # Trees hold 32 bits, to which ranks fit and 1e308 does not.
            parts.append(np.where(np.isnan(lead.values), np.nan, lead.ranks))
        else:
            parts += [(lead.values == code).astype(np.float64) for code in range(len(lead.levels))]
        owned.append(list(range(start, len(parts))))
    return np.column_stack(parts), owned


def _mean(values: NDArray[np.float64], confidence: float) -> tuple[float, float, float, float]:
    """Return the mean of values of shape (seeds, runs), its interval, and the chance if it is 0.

    Runs differ, and so do the repetitions: both are reasons why it may have come out otherwise.
    """
    seeds, runs = values.shape
    of_runs = values.mean(axis=0)
    between = values.mean(axis=1).var(ddof=1) / seeds
    error = math.sqrt(of_runs.var(ddof=1) / runs + between)
    mean = float(of_runs.mean())
    special = load("scipy.special")
    reach = error * float(special.stdtrit(runs - 1, (1 + confidence) / 2))
    chance = 1.0 if error == 0 else float(special.stdtr(runs - 1, -mean / error))
    return mean, mean - reach, mean + reach, chance


def _importances(
    groups: Groups,
    harm: NDArray[np.float64],
    target: NDArray[np.float64],
    confidence: float,
) -> list[Importance]:
    means = [_mean(harm[:, place] / 2, confidence) for place in range(len(groups))]
    surely = _holm([chance for _, _, _, chance in means])
    order = sorted(range(len(groups)), key=lambda place: -means[place][0])
    correlations = _partial(groups, order, target, confidence)
    together = _together([group[0] for group in groups])
    found = []
    for place in order:
        mean, low, high, _ = means[place]
        lead, *same = groups[place]
        partial: Any = correlations[place] or (None, None, None)
        found.append(
            Importance(
                lead.name,
                lead.kind,
                mean,
                low,
                high,
                matters=surely[place],
                partial_correlation=partial[0],
                partial_low=partial[1],
                partial_high=partial[2],
                same_as=tuple(one.name for one in same),
                goes_with=together[place],
            )
        )
    return found


def _holm(chances: Sequence[float]) -> list[bool]:
    passed = [False] * len(chances)
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[place] * (len(chances) - rank) >= _LEVEL:
            break
        passed[place] = True
    return passed


def _partial(
    groups: Groups, order: Sequence[int], target: NDArray[np.float64], confidence: float
) -> list[tuple[float, float, float] | None]:
    """Correlate each ordered setting, given the others; of many the most important ones.

    Each run gives one equation, so that settings by the dozen leave nothing to correlate.
    """
    columns = [_rank_columns(group[0]) for group in groups]
    most = len(target) // _RUNS_A_CONTROL
    found: list[tuple[float, float, float] | None] = []
    for place, group in enumerate(groups):
        if not group[0].is_ordered:
            found.append(None)
            continue
        others = [column for other in order if other != place for column in columns[other]][:most]
        controls = np.column_stack(others) if others else np.empty((len(target), 0))
        found.append(partial_rank_correlation(columns[place][0], target, controls, confidence))
    return found


def _rank_columns(setting: Setting) -> list[NDArray[np.float64]]:
    if setting.is_ordered:
        return [setting.ranks]
    codes = range(1, len(setting.levels))
    return [ranks((setting.values == code).astype(np.float64)) for code in codes]


def _together(settings: Sequence[Setting]) -> list[tuple[tuple[str, float], ...]]:
    found: list[list[tuple[str, float]]] = [[] for _ in settings]
    for place, one in enumerate(settings):
        for later in range(place + 1, len(settings)):
            strength = association(one, settings[later])
            if strength >= _GOES_WITH:
                found[place].append((settings[later].name, strength))
                found[later].append((one.name, strength))
    return [tuple(sorted(some, key=lambda one: -one[1])[:_NAMED]) for some in found]
