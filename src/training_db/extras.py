"""Packages that only some of the library needs, loaded when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from training_db.errors import MissingExtra


def load(module: str, extra: str = "analysis") -> Any:
    """Import a module of an optional package.

    Args:
        module: The module, such as ``"plotly.graph_objects"``.
        extra: The extra of this project that installs it.

    Returns:
        The module.

    Raises:
        MissingExtra: It is not installed; the message is the command that installs it.

    Example:
        >>> load("json.decoder").JSONDecoder().decode("[1]")
        [1]
        >>> load("a_package_that_is_not_there")
        Traceback (most recent call last):
        training_db.errors.MissingExtra: this needs a_package_that_is_not_there; run: pip ...
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # it is there, and lacks something itself
        raise MissingExtra(
            f"this needs {package}; run: pip install 'training-db[{extra}]'"
        ) from None
