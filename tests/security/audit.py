"""``make audit``: ask whether a package of this environment has a known weakness.

Ends with 1 where one has. Where the service cannot be reached, or does not know the packages, it
says so, and ends with 0: then nobody knows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner=off"]


def main() -> int:
    """Run pip-audit, and say in a few lines what it found."""
    done = subprocess.run([*COMMAND, "--format=json"], capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        sys.stdout.write(f"Nothing was audited, for the service cannot be reached: {reason}\n")
        return 0
    audited = [one for one in packages if "vulns" in one]
    if not audited:
        count = len(packages)
        sys.stdout.write(f"Nothing was audited, for the service knows none of {count} packages\n")
        return 0
    weak = [(one, fault) for one in audited for fault in one["vulns"]]
    for one, fault in weak:
        mended = ", ".join(fault["fix_versions"]) or "no version"
        sys.stdout.write(f"{one['name']} {one['version']}: {fault['id']}, mended in {mended}\n")
    unknown = len(packages) - len(audited)
    said = f"{len(audited)} packages audited, {unknown} unknown, {len(weak)} weaknesses"
    sys.stdout.write(f"{said}\n")
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main())
