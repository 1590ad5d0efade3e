"""An image that W&B does not keep, kept as a file of our own."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def given_path(image: Any) -> str | None:
    """Return the path, or URL, of an image that is a file already."""
    if isinstance(image, str):
        return image if "://" in image else str(Path(image).absolute())
    return str(Path(image).absolute()) if isinstance(image, os.PathLike) else None


def keep(image: Any, folder: Path, name: str) -> Path:
    """Write an image to a file.

    Args:
        image: An image of PIL, a figure of matplotlib, or an array or tensor.
        folder: The folder, made if it is not there.
        name: What it shows; a number is added where the name is taken.

    Returns:
        Its path: ``.png``, or ``.npy`` of an array where Pillow cannot make an image of it.

    Raises:
        OSError: It cannot be written.
        TypeError: It is no image.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(image, "savefig"):
        image.savefig(path := _free(folder, name, ".png"))
        return path
    if hasattr(image, "save") and hasattr(image, "mode"):
        image.save(path := _free(folder, name, ".png"))
        return path
    return _keep_array(image, folder, name)


def _keep_array(image: Any, folder: Path, name: str) -> Path:
    import numpy as np

    if hasattr(image, "detach"):
        image = image.detach().cpu().numpy()
    array = np.asarray(image)
    if array.dtype == object or array.ndim not in (2, 3):
        raise TypeError(f"a {type(image).__name__} of shape {array.shape} is no image")
    try:
        from PIL import Image

        picture = array if array.ndim == 2 or array.shape[2] > 1 else array[:, :, 0]
        if picture.dtype != np.uint8 and picture.min() >= 0 and picture.max() <= 1:
            picture = picture * 255
        made = Image.fromarray(picture.astype(np.uint8))
    except (ImportError, TypeError, ValueError):
        np.save(path := _free(folder, name, ".npy"), array)
        return path
    made.save(path := _free(folder, name, ".png"))
    return path


def _free(folder: Path, name: str, suffix: str) -> Path:
    plain = _UNSAFE.sub("_", name)[:80] or "image"
    number = 0
    while True:
        path = folder / f"{plain}_{number}{suffix}"
        try:
            path.touch(exist_ok=False)  # so that no other process takes it
        except FileExistsError:
            number += 1
        else:
            return path
