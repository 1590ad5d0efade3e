"""Alembic's scripts: where they are, and how they are run."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_db.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

# What stands beside the package in a checkout stands inside it in a wheel.
_PLACES = (
    Path(__file__).parents[1] / "_alembic" / "alembic",
    Path(__file__).parents[3] / "alembic",
)


def scripts_folder() -> Path:
    """Return the folder of ``env.py`` and ``versions/``.

    Raises:
        ConfigurationError: This installation has no such folder.
    """
    for place in _PLACES:
        if (place / "env.py").is_file():
            return place
    raise ConfigurationError(
        f"this installation of training-db has no migrations at {_PLACES[0]}; "
        "run: pip install --force-reinstall training-db"
    )


def alembic_config(**attributes: Any) -> Config:
    """Return Alembic's configuration for this library's scripts.

    Args:
        **attributes: What ``env.py`` and the revisions are told: ``connection``, ``note``,
            ``progress``, ``dialect``.
    """
    from alembic.config import Config

    config = Config(attributes=attributes)
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def load_script(name: str) -> Any:
    """Load a module that stands beside ``env.py``; it is no package, so nothing imports it."""
    spec = spec_from_file_location(f"training_db_{name}", scripts_folder() / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"this installation of training-db has no migrations/{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
