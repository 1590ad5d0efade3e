"""The recorder of a tracker, which may be put aside while its run goes on."""

from __future__ import annotations

from training_db.recording.recorder import Recorder

_ASIDE_SECONDS = 5.0  # somebody logs to another run meanwhile, and waits


class TrackerRecorder(Recorder):
    """A recorder whose run may go on with another one.

    Example:
        >>> db = getfixture("example_db")
        >>> recorder = TrackerRecorder(db, "new", spool_dir=getfixture("tmp_path"))
        >>> recorder.log({"loss": 0.5}, step=7)
        >>> recorder.put_aside()
        8
        >>> db.runs.get("new")["status"]
        'running'
    """

    def put_aside(self) -> int:
        """Send everything and close, and leave the status of the run alone.

        What the database does not take in time stays in the spool, from where the next recorder
        sends it.

        Returns:
            The step to go on from.
        """
        self._close(None, _ASIDE_SECONDS)
        return self._last_step + 1
