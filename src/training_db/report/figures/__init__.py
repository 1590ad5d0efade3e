"""Figures of runs, by Plotly: in notebooks, in reports, on pages; all of them with one look.

============================= ======================================== ================
Figure                        What it is drawn of                      Reports
============================= ======================================== ================
:func:`curves`                ``db.history.arrays(run_ids, metrics)``  run, comparison
:func:`bands`                 ``db.analysis.bands(metric)``            project
:func:`parallel_coordinates`  the settings of each run, and a score    project
:func:`pareto_front`          ``db.analysis.pareto(directions)``       all
:func:`importance`            ``db.analysis.sensitivity(target)``      project
:func:`conflict_heat_map`     ``db.analysis.conflicts(run_id=run_id)`` run
:func:`timeline`              ``db.events.list(run_id)``               run
============================= ======================================== ================

Each gives a ``plotly.graph_objects.Figure`` that a notebook shows by itself, with a caption
(:func:`caption`) for those who don't see it; ``dark=True`` or :func:`darkened` gives the look for
dark pages. Names are shown as they are, whatever markup they hold.

Example:
    >>> db = getfixture("example_db")
    >>> _ = db.runs.insert("r1"), db.history.append("r1", {"loss": [2.0, 1.0, 0.5]})
    >>> figure = curves(db.history.arrays("r1", ["loss"]), log=True)
    >>> caption(figure)
    'Curves of loss of 1 run over step; on a logarithmic axis.'
"""

from __future__ import annotations

from training_db.report.figures.bands import bands
from training_db.report.figures.conflicts import conflict_heat_map
from training_db.report.figures.curves import curves
from training_db.report.figures.events import timeline
from training_db.report.figures.frame import caption, darkened
from training_db.report.figures.fronts import pareto_front
from training_db.report.figures.importance import importance
from training_db.report.figures.parallel import parallel_coordinates

__all__ = [
    "bands",
    "caption",
    "conflict_heat_map",
    "curves",
    "darkened",
    "importance",
    "parallel_coordinates",
    "pareto_front",
    "timeline",
]
