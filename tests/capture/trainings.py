"""Trainings that log to W&B and are mirrored, each in a process of its own.

``python -m tests.capture.trainings NAME FOLDER URL`` runs one; what it prints last is JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.capture.client import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"a": 1}, {}),
    ({"a": 2}, {"commit": False}),
    ({"b": 2}, {}),
    ({"a": 3}, {"step": 10}),
    ({"b": 3}, {"step": 10}),
    ({"low": 1}, {"step": 5}),
    ({"c": 3.5}, {}),
    ({"a": 4}, {"step": 20, "commit": True}),
    ({"low": 2}, {"step": 20, "commit": True}),
    ({"d": 2}, {"commit": True}),
    ({}, {}),
    ({"x": 1, "_step": 77, "_runtime": 9}, {}),
    ({"x": 2}, {"commit": False}),
    ({"y": float("nan")}, {"step": 40}),
    ({"n": {"d": {"e": 1}}, "n.d.e": 7, "list": [1, {"a": 2}]}, {}),
    ({"z": 3}, {"step": 60, "commit": False}),
    ({"s": "x", "t": True, "inf": float("inf")}, {}),
    ({"a": 5}, {"step": 100}),
]
"""Calls of log() in every way that W&B knows."""
LOW = {5: {"low": 1}, 20: {"low": 2}}
"""What W&B drops of them."""


def start(name: str, folder: Path, url: str, **variables: str) -> subprocess.Popen[str]:
    """Start a training; it reads orders from its input, if it wants any."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = environment(folder) | {"TRAINING_DB_SPOOL_DIR": str(folder / "spool")} | variables
    return subprocess.Popen(
        [sys.executable, "-W", "always", "-m", "tests.capture.trainings", name, str(folder), url],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def train(name: str, folder: Path, url: str, **variables: str) -> tuple[dict[str, Any], int, str]:
    """Run a training to its end.

    Returns:
        What it told, its exit code, and what it wrote to its error output.
    """
    process = start(name, folder, url, **variables)
    out, err = process.communicate(timeout=120)
    lines = out.splitlines()
    return json.loads(lines[-1]) if lines else {}, process.returncode, err


def _say(**told: Any) -> None:
    print(json.dumps(told), flush=True)  # noqa: T201


class _Training:
    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.close_seconds = float(os.environ.get("CLOSE", "30"))
        self.flush_seconds = float(os.environ.get("FLUSH", "0.2"))

    def begin(self, **options: Any) -> Any:
        import wandb

        settings = wandb.Settings(console="off", x_disable_stats=True, disable_git=True)
        options = {"project": "p", "config": {"lr": 0.1, "net": {"depth": 2}}} | options
        return wandb.init(dir=str(self.folder), settings=settings, **options)

    def mirrored(self, **options: Any) -> Any:
        from training_db.capture import mirror

        run = self.begin(**options)
        made = mirror(
            run, self.url, flush_seconds=self.flush_seconds, close_seconds=self.close_seconds
        )
        _say(run_id=made.run_id, log=_log_of(run))
        return run

    def unmirrored(self) -> None:
        run = self.begin(id="whole", tags=["t1"], notes="first")
        _log_all(run)
        run.finish()
        _say(log=_log_of(run))

    def whole(self) -> None:
        import wandb

        run = self.mirrored(id="whole", tags=["t1"], notes="first")
        _log_all(run)
        wandb.log({"media": wandb.Histogram([1, 2, 3]), "page": wandb.Html("<b>x</b>")})
        run.alert("careful", "it diverges")
        run.name = "another name"
        run.finish()

    def disabled(self) -> None:
        import wandb

        run = self.mirrored(id="disabled", mode="disabled")
        for data, options in CALLS:
            wandb.log(data, **options)
        run.summary["best"] = 0.25
        run.alert("careful", "it diverges", level=wandb.AlertLevel.WARN)
        run.finish()

    def failing(self) -> None:
        with self.mirrored(id="failing") as run:
            run.log({"loss": 1.0})
            raise RuntimeError("diverged")

    def unfinished(self) -> None:
        run = self.mirrored(id="unfinished")
        run.log({"loss": 1.0})
        run.log({"loss": 0.5}, step=7)

    def exiting(self) -> None:
        self.mirrored(id="exiting").log({"loss": 1.0}, commit=False)
        sys.exit(3)

    def raising(self) -> None:
        self.mirrored(id="raising").log({"loss": 1.0})
        raise KeyboardInterrupt

    def waiting(self) -> None:
        """Log rows that are not ended, and wait to be killed."""
        run = self.mirrored(id="waiting")
        for step in range(50):
            run.log({"loss": 1 / (step + 1)}, step=step)
            run.log({"acc": step / 50}, step=step)
        _say(run_id="waiting")
        signal.pause()

    def forking(self) -> None:
        run = self.mirrored(id="forking")
        run.log({"loss": 1.0}, commit=False)
        child = os.fork()
        if child == 0:
            run.log({"child": 1.0})
            sys.exit()
        _, status = os.waitpid(child, 0)
        run.log({"acc": 0.5})
        run.finish()
        _say(run_id="forking", log=_log_of(run), child=status)

    def threaded(self) -> None:
        run = self.mirrored(id="threaded")

        def work(number: int) -> None:
            for at in range(100):
                run.log({f"m{number}": at})

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        run.finish()

    def refused(self) -> None:
        """Do with the run what W&B refuses."""
        run = self.mirrored(id="refused")
        errors = []
        for data in (7, {1: 2}):
            try:
                run.log(data)
            except TypeError as error:
                errors.append(str(error))
        result = run.log({"loss": 1.0})
        run.finish()
        try:
            run.log({"loss": 2.0})
        except Exception as error:  # noqa: BLE001
            errors.append(type(error).__name__)
        _say(run_id="refused", errors=errors, result=result)

    def orphaned(self) -> None:
        """Go on when the process of W&B is gone."""
        run = self.mirrored(id="orphaned")
        run.log({"loss": 1.0})
        run._wl.assert_service()._proc._process.kill()
        errors = 0
        for step in range(1, 30):
            try:
                run.log({"loss": 1 / (step + 1)})
            except Exception:  # noqa: BLE001
                errors += 1
        _say(run_id="orphaned", errors=errors)

    def again(self) -> None:
        from training_db.capture import mirror

        run = self.begin(id="again")
        first, second = mirror(run, self.url), mirror(run, self.url)
        run.log({"loss": 1.0})
        is_flushed = first.flush()
        run.finish()
        _say(run_id=first.run_id, is_same=first is second, is_flushed=is_flushed)

    def torn_down(self) -> None:
        """End all runs without finishing any, and have many that were finished before."""
        import wandb

        for number in range(3):
            self.mirrored(id=f"finished{number}").finish()
        run = self.mirrored(id="torn_down")
        run.log({"loss": 1.0})
        run.log({"loss": 0.5}, commit=False)
        wandb.teardown()

    def foreign(self) -> None:
        """Mirror runs of clients that each lack something that this one has."""
        import warnings

        from training_db.capture import mirror

        found = {}
        for name in json.loads(os.environ["LACKING"]):
            run = self.begin(id=name.strip("_"), reinit="create_new")
            owner = next(one for one in (run, run._interface, run._settings) if hasattr(one, name))
            with _without(owner, name), warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                made = mirror(run, self.url)
                run.config["a"] = 1
            run.log({"loss": 1.0})
            run.log({"n": {"d": 2}})
            run.finish()
            told = [str(one.message) for one in caught]
            found[name] = {"is_active": made.keeps_rows, "told": told, "log": _log_of(run)}
        _say(**found)

    def captured(self) -> None:
        run, run_id = self._captured()
        run.finish()
        _say(run_id=run_id, log=_log_of(run))

    def captured_unfinished(self) -> None:
        run, run_id = self._captured()
        _say(run_id=run_id, log=_log_of(run))
        sys.exit(2)

    def captured_killed(self) -> None:
        from training_db.capture import capture_run
        from training_db.capture.live.mirroring import mirrored

        run, run_id = self._captured()
        assert capture_run(run, self.url) == run_id
        assert mirrored(run, self.url, keeps_rows=False).flush()
        _say(run_id=run_id, log=_log_of(run))
        os.kill(os.getpid(), signal.SIGKILL)

    def captured_too_late(self) -> None:
        from training_db.capture import capture_run, mirror

        run = self.begin(id="late")
        run.log({"loss": 1.0})
        run.finish()
        mirror(run, self.url)
        _say(run_id=capture_run(run, self.url))

    def captured_mirrored(self) -> None:
        from training_db.capture import capture_run

        run = self.mirrored(id="both")
        run.log({"loss": 1.0})
        run_id = capture_run(run, self.url)
        run.finish()
        _say(run_id=run_id)

    def _captured(self) -> tuple[Any, str]:
        from training_db.capture import capture_run

        run = self.begin(id="captured", tags=["t1"])
        for step in range(200):
            run.log({"loss": 1 / (step + 1)})
        run.summary["best"] = 0.25
        return run, capture_run(run, self.url)


@contextmanager
def _without(owner: Any, name: str) -> Iterator[None]:
    """Take away an attribute of an object, which its class may have."""
    places = [place for place in (owner, *type(owner).__mro__) if name in vars(place)]
    taken = [(place, vars(place)[name]) for place in places]
    try:
        for place in places:
            if place is owner:
                vars(place).pop(name)
            else:
                delattr(place, name)
        yield
    finally:
        for place, value in taken:
            if place is owner:
                vars(place)[name] = value
            else:
                setattr(place, name, value)


def _log_of(run: Any) -> str | None:
    return None if run.disabled else str(run._settings.sync_file)


def _log_all(run: Any) -> None:
    for data, options in CALLS:
        run.log(data, **options)
    run.config.update({"later": 2})
    run.tags = (*run.tags, "t2")
    run.summary["best"] = 0.25


if __name__ == "__main__":
    os.chdir(sys.argv[2])
    getattr(_Training(Path(sys.argv[2]), sys.argv[3]), sys.argv[1])()
