"""Runs that nothing is heard of, clocks that disagree, and what waits on this machine's disk."""

from __future__ import annotations

import os
import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

from training_db.counts import counted
from training_db.db.engine.file_systems import network_file_system
from training_db.recording import leftover
from training_db.recording.place import SUFFIX, place_of
from training_db.repository.clock import clock
from training_db.repository.reaping import QUIET, silent_runs
from training_db.repository.soundness import beats_of_the_future
from training_db.timestamps import now
from training_db.upkeep.checks.place import open_to_others
from training_db.upkeep.findings import Finding, Severity, some

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from training_db.upkeep.findings import Case

_SKEW = timedelta(seconds=5)
_AHEAD = timedelta(minutes=2)
_SET_CLOCK = "timedatectl set-ntp true"


def check_runs(case: Case) -> Iterator[Finding]:
    """Look for runs that should be at work and have not been heard of."""
    with case.engine.connect() as connection:
        silent = silent_runs(connection, QUIET)
    if not silent:
        yield Finding("runs", Severity.OK, "every run that beat has ended, or beats")
        return
    yield Finding(
        "runs",
        Severity.WARNING,
        f"{counted(len(silent), 'run')} should go on, and nothing was heard of "
        f"{'it' if len(silent) == 1 else 'them'} for {QUIET.total_seconds() / 60:g} minutes",
        some([f"{run['run_id']} since {run['heartbeat_at']}" for run in silent]),
        case.command("runs", "reap"),
    )


def check_clocks(case: Case) -> Iterator[Finding]:
    """Compare the clock of the database with this machine's, and with the runs'."""
    with case.engine.connect() as connection:
        before = now()
        present = clock(connection)
        after = now()
        ahead = beats_of_the_future(connection, present + _AHEAD)
    skew = _distance(present, before, after)
    if skew > _SKEW:
        yield Finding(
            "clock",
            Severity.WARNING,
            f"the clock of the database and of this machine are {skew.total_seconds():.0f} s apart"
            ": times of runs and of their heartbeats cannot be compared",
            mend=_SET_CLOCK,
        )
    if ahead:
        hosts = sorted({host for _, host in ahead if host}) or ["the machine that wrote them"]
        yield Finding(
            "clock",
            Severity.WARNING,
            f"{counted(len(ahead), 'run')} beat in the future, and would not be missed for as long:"
            f" the clock of {', '.join(some(hosts, 3))} was ahead, or the database's was set back",
            some([run_id for run_id, _ in ahead]),
            case.command("doctor", "--mend", "clocks"),
        )
    if skew <= _SKEW and not ahead:
        yield Finding("clock", Severity.OK, "the clocks of the database and this machine agree")


def check_spools(case: Case) -> Iterator[Finding]:
    """Look for what recorders of this machine have left for this database."""
    folder = case.spools
    if not folder.is_dir():
        yield Finding("spools", Severity.OK, "no recorder has left anything on this machine")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        mend = shlex.join(["sudo", "chown", "-R", str(os.getuid()), str(folder)])
        what = f"{folder} cannot be read and written to, so recorders keep their rows in memory"
        yield Finding("spools", Severity.WARNING, what, mend=mend)
        return
    found = leftover.status(folder)
    ours = [one for one in found if one.place in (None, place_of(case.url))]
    waiting = [one for one in ours if one.state == "waiting"]
    if waiting:
        rows = sum((one.rows or 0) + (one.events or 0) for one in waiting)
        yield Finding(
            "spools",
            Severity.WARNING,
            f"{counted(rows, 'row')} of recorders that are gone wait in {folder} for this database",
            some([f"{one.file.name} of {one.run_id}" for one in waiting]),
            case.command("spool", "sync", "--folder", str(folder)),
        )
    for one in ours:
        if one.state == "unreadable":
            mend = shlex.join(["sudo", "chown", str(os.getuid()), str(one.file)])
            what = f"{one.file} cannot be opened: {one.reason}"
            yield Finding("spools", Severity.WARNING, what, mend=mend)
        elif one.state == "corrupt":
            drop = ["training-db", "spool", "drop", str(one.file), "--folder", str(folder), "--yes"]
            why = one.reason or "it was set aside as such"
            what = f"{one.file} is damaged ({why}); keep a copy"
            yield Finding("spools", Severity.WARNING, what, mend=shlex.join(drop))
    yield from _folder(case)
    if not waiting and not any(one.state in ("unreadable", "corrupt") for one in ours):
        in_use = sum(one.state == "in use" for one in ours)
        what = f"nothing waits in {folder}; {counted(in_use, 'recorder')} at work"
        yield Finding("spools", Severity.OK, what)


def _folder(case: Case) -> Iterator[Finding]:
    folder = case.spools
    open_to_all = open_to_others([folder, *folder.glob(f"*{SUFFIX}*")])
    if open_to_all:
        yield Finding(
            "permissions",
            Severity.WARNING,
            "others on this machine may read or write what recorders have left",
            tuple(open_to_all),
            shlex.join(["chmod", "go-rwx", *open_to_all]),
        )
    if kind := network_file_system(folder):
        yield Finding(
            "file system",
            Severity.WARNING,
            f"spools are in {folder}, on a network file system ({kind}): each row waits for the "
            "network, and its locks have to tell which recorder is alive. Take a local disk",
            mend="export TRAINING_DB_SPOOL_DIR=/var/tmp/training-db-spool",
        )


def _distance(present: datetime, before: datetime, after: datetime) -> timedelta:
    return max(before - present, present - after, timedelta(0))
