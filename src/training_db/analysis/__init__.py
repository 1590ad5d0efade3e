"""From runs to answers: what happened in a training, which runs are best, and what made them so.

Functions on arrays stand in modules of their own; :class:`training_db.analysis.analysis.Analysis`,
as ``db.analysis``, asks them about the runs of a database.
"""
