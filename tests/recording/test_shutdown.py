"""The end of a process, by a signal, an exception or nothing at all: the run says how it ended."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import warnings
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from training_db import TrainingDB
from training_db.recording import RecorderWarning
from training_db.recording.shutdown import shutdown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = torture.on_one_backend


START = """
import os, signal, sys, threading
from training_db import TrainingDB
recorder = TrainingDB(sys.argv[1]).recorder("run", flush_seconds=3600)
recorder.log({"loss": 1.0})
"""


def ended(db: TrainingDB, folder: Path, code: str) -> tuple[int, str, list[str]]:
    """Run a training to its end, and return its exit code, the run's status and its events."""
    url = db.url.render_as_string(hide_password=False)
    script = folder / "training.py"
    script.write_text(START + code)
    done = subprocess.run(
        [sys.executable, script, url], capture_output=True, timeout=60, check=False
    )
    events = [event["message"] for event in db.events.list("run")]
    assert db.history.arrays("run", "loss")["run"]["loss"].values[0] == 1.0
    return done.returncode, db.runs.get("run")["status"], events


@pytest.mark.parametrize(
    ("code", "exit_code", "status", "events"),
    [
        ("", 0, "completed", []),
        ("raise ValueError('too high')", 1, "failed", ["ValueError: too high"]),
        (
            "recorder.flush(); raise KeyboardInterrupt",
            -2,
            "crashed",
            ["KeyboardInterrupt (SIGINT)"],
        ),
        (
            "os.kill(os.getpid(), signal.SIGTERM); signal.pause()",
            -15,
            "crashed",
            ["the process was told to end by SIGTERM"],
        ),
        (
            "with recorder._lock: os.kill(os.getpid(), 15)\nrecorder.log({'loss': 2.0})",
            -15,
            "crashed",
            ["the process was told to end by SIGTERM"],
        ),
    ],
)
def test_a_training_that_did_not_close_its_recorder(
    db: TrainingDB, spool_dir: Path, code: str, exit_code: int, status: str, events: list[str]
) -> None:
    assert ended(db, spool_dir.parent, code) == (exit_code, status, events)
    assert list(spool_dir.iterdir()) == []


def test_a_signal_in_the_middle_of_close_waits_for_it(db: TrainingDB, spool_dir: Path) -> None:
    code = (
        "ask = recorder._flusher.ask\n"
        "def ask_and_kill(request):\n"
        "    ask(request); os.kill(os.getpid(), signal.SIGTERM)\n"
        "recorder._flusher.ask = ask_and_kill\n"
        "recorder.close('failed')"
    )
    assert ended(db, spool_dir.parent, code)[:2] == (-15, "failed")
    assert [path for path in spool_dir.iterdir() if path.suffix == ".corrupt"] == []


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """The signals that the training's own handler was called for."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: seen.append(number))
    yield seen
    signal.signal(signal.SIGTERM, before)


def test_a_training_that_goes_on_after_a_signal_is_running_again(
    db: TrainingDB, handled: list[int]
) -> None:
    own = signal.getsignal(signal.SIGTERM)
    with db.recorder("run", flush_seconds=3600) as recorder:
        recorder.log({"loss": 1.0})
        os.kill(os.getpid(), signal.SIGTERM)
        assert handled == [signal.SIGTERM]
        assert db.runs.get("run")["status"] == "crashed"
        recorder.log({"loss": 2.0})
        assert recorder.flush()
        assert db.runs.get("run")["status"] == "running"
        assert db.runs.get("run")["ended_at"] is None
    assert signal.getsignal(signal.SIGTERM) is own
    assert db.runs.get("run")["status"] == "completed"
    assert len(db.history.arrays("run", "loss")["run"]["loss"].values) == 2


def test_a_training_whose_handler_exits_stays_crashed(db: TrainingDB) -> None:
    def leave(_number: int, _frame: Any) -> None:
        raise SystemExit(5)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        with pytest.raises(SystemExit), db.recorder("run"):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert db.runs.get("run")["status"] == "crashed"


def test_several_recorders_share_one_handler_and_the_last_takes_it_away(
    db: TrainingDB, handled: list[int]
) -> None:
    own, hook = signal.getsignal(signal.SIGTERM), sys.excepthook
    first, second = db.recorder("first"), db.recorder("second")
    ours = signal.getsignal(signal.SIGTERM)
    assert ours not in (own, None)
    first.close()
    assert signal.getsignal(signal.SIGTERM) == ours
    os.kill(os.getpid(), signal.SIGTERM)
    assert handled == [signal.SIGTERM]
    assert db.runs.get("first")["status"] == "completed"
    assert db.runs.get("second")["status"] == "crashed"
    second.close()
    assert signal.getsignal(signal.SIGTERM) is own
    assert sys.excepthook is hook


def test_a_handler_that_was_set_later_stays(db: TrainingDB, handled: list[int]) -> None:
    recorder = db.recorder("run")
    later: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: later.append(number))
    own = signal.getsignal(signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    recorder.close()
    assert (later, handled) == ([signal.SIGTERM], [])
    assert signal.getsignal(signal.SIGTERM) is own


def test_a_signal_that_is_ignored_stays_ignored(db: TrainingDB) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with db.recorder("run"):
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_recorder_of_another_thread_installs_no_handler(db: TrainingDB) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def log() -> None:
        with db.recorder("run") as recorder:
            recorder.log({"loss": 1.0})

    thread = threading.Thread(target=log)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
    assert db.runs.get("run")["status"] == "completed"


def test_a_handler_that_another_thread_cannot_take_away_does_nothing(
    db: TrainingDB, handled: list[int]
) -> None:
    own = signal.getsignal(signal.SIGTERM)
    recorder = db.recorder("run")
    thread = threading.Thread(target=recorder.close)
    thread.start()
    thread.join()
    os.kill(os.getpid(), signal.SIGTERM)
    assert handled == [signal.SIGTERM]
    with db.recorder("second"):
        pass
    assert signal.getsignal(signal.SIGTERM) is own


def test_the_exception_that_ends_the_program_is_noted_at_its_exit(
    db: TrainingDB, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = db.recorder("run")
    error = ValueError("too high")
    sys.excepthook(ValueError, error, None)
    assert "too high" in capsys.readouterr().err  # the hook that was there before has run
    atexit.unregister(shutdown._at_exit)
    shutdown._at_exit()
    shutdown._at_exit()
    assert repr(recorder).endswith("closed>")
    assert db.runs.get("run")["status"] == "failed"
    assert [event["message"] for event in db.events.list("run")] == ["ValueError: too high"]


def test_a_hook_that_was_put_around_ours_is_called_once(
    db: TrainingDB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    called = []
    with db.recorder("first"):
        ours = sys.excepthook

        def around(*exception: Any) -> None:
            called.append(exception)
            ours(*exception)

        sys.excepthook = around
    with db.recorder("second"):
        sys.excepthook(ValueError, ValueError("too high"), None)
    assert len(called) == 1
    assert capsys.readouterr().err.count("too high") == 1


def test_a_handler_that_logs_in_the_middle_of_log_loses_nothing(
    db: TrainingDB, handled: list[int]
) -> None:
    with db.recorder("run") as recorder:

        class Nested:
            ndim = 0

            def item(self) -> float:
                recorder.log({"inner": 1.0})
                return 2.0

        with recorder._lock:
            recorder._is_busy = True
            recorder.log({"inner": 0.5})
            recorder._is_busy = False
            os.kill(os.getpid(), signal.SIGTERM)
            assert handled == []
        recorder.log({"outer": Nested()})
        assert handled == [signal.SIGTERM]
    found = db.history.arrays("run")["run"]
    assert sorted(found["inner"].values.tolist()) == [0.5, 1.0]
    assert found["outer"].values.tolist() == [2.0]


def test_recorders_that_cannot_send_share_one_time_to_close() -> None:
    nowhere = TrainingDB("postgresql://127.0.0.1:1/none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecorderWarning)
        for number in range(4):
            nowhere.recorder(f"run{number}", close_seconds=1.5).log({"loss": 1.0})
        begun = monotonic()
        atexit.unregister(shutdown._at_exit)
        shutdown._at_exit()
    assert monotonic() - begun < 4
