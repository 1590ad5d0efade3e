"""``db.analysis``: answers about the runs of a database."""

from __future__ import annotations

from training_db.analysis.comparison.comparisons import Comparisons
from training_db.analysis.dynamics.dynamics import Dynamics
from training_db.analysis.fronts.fronts import Fronts
from training_db.analysis.regression.regressions import Regressions
from training_db.analysis.sensitivity.sensitivities import Sensitivities


class Analysis(Dynamics, Fronts, Comparisons, Sensitivities, Regressions):
    """Answers about the runs of a database, as ``db.analysis``.

    What happened in a training (:class:`Dynamics`), which runs and scaffolds are best
    (:class:`Fronts`), what tells them apart (:class:`Comparisons`), which settings matter
    (:class:`Sensitivities`), and what became worse (:class:`Regressions`).
    """
