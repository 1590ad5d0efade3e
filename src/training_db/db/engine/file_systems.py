"""What kind of file system a file is on: SQLite's WAL works on one machine's own disks only."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORKED = frozenset(
    {
        "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fhgfs", "gfs",
        "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb",
        "smb2", "smb3", "smbfs", "virtiofs", "vboxsf", "wekafs",
        "fuse.blobfuse", "fuse.blobfuse2", "fuse.ceph-fuse", "fuse.cephfs", "fuse.curlftpfs",
        "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.mount-s3",
        "fuse.rclone", "fuse.s3fs", "fuse.seaweedfs", "fuse.sshfs", "fuse.vmhgfs-fuse",
        "fuse.davfs2", "fuse.beegfs", "fuse.moosefs", "fuse.gpfs",
    }
)  # fmt: skip
"""Names of kinds, as the kernel gives them: several machines may have such files open at once."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


def file_system(path: Path) -> str | None:
    """Return the kind of file system that a file is on, or would be made on.

    Args:
        path: The file; what is missing of its path is passed over.

    Returns:
        The kernel's name of it, such as ``"ext4"`` or ``"nfs4"``; ``None`` where it does not say.
    """
    try:
        mounts = os.fsdecode(MOUNTS.read_bytes())
    except OSError:  # a system without, such as macOS: nothing is known
        return None
    return _kind(os.path.realpath(path), mounts)


def network_file_system(path: Path) -> str | None:
    """Return the same where it is one that several machines may share; else ``None``."""
    kind = file_system(path)
    return kind if kind in NETWORKED else None


def _kind(path: str, mounts: str) -> str | None:
    r"""Find the mount that a path is below; of two at one place the later one covers the other.

    Example:
        >>> _kind("/data/runs.db", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        ...       "30 22 0:40 / /data rw,nosuid shared:9 - nfs4 files:/data rw\n")
        'nfs4'
    """
    found, longest = None, -1
    for line in mounts.splitlines():
        place, separator, rest = line.partition(" - ")
        if not separator:
            continue
        point = _ESCAPED.sub(lambda code: chr(int(code[1], 8)), place.split(" ")[4])
        is_below = path == point or path.startswith(point.rstrip("/") + "/")
        if is_below and len(point) >= longest:
            found, longest = rest.split(" ")[0], len(point)
    return found
