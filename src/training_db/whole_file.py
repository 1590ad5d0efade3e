"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def opened_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name only once the block is done.

    Args:
        path: The file; one that is there is replaced. What a link leads to is replaced, and the
            link stays. A pipe or a device is written to as it is.

    Yields:
        The file, to write bytes to.

    Raises:
        OSError: It cannot be written; what was there before is still there, as it is after any
            other error in the block.

    Example:
        >>> path = getfixture("tmp_path") / "losses.csv"
        >>> with opened_whole(path) as file:
        ...     _ = file.write(b"step,loss")
        ...     path.exists()
        False
        >>> path.exists(), len(list(path.parent.iterdir()))
        (True, 1)
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as file:
            yield file
        return
    place = path.resolve()
    # Without the file's own name, which may be as long as names can be.
    unfinished = place.with_name(f".{uuid4().hex}.partial")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(place)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text to a file that takes its name only once it is complete.

    Args:
        path: The file, as for :func:`opened_whole`.
        text: What it will hold, as UTF-8.

    Raises:
        OSError: It cannot be written; what was there before is still there.

    Example:
        >>> path = getfixture("tmp_path") / "page.html"
        >>> write_whole(path, "<p>π</p>")
        >>> path.read_text(encoding="utf-8"), len(list(path.parent.iterdir()))
        ('<p>π</p>', 1)
    """
    with opened_whole(path) as file:
        file.write(text.encode())
