"""A whole database copied to another place, on either backend, and compared at the end."""

from training_db.transfer.copying.copy_report import CopyReport
from training_db.transfer.copying.copying import copy_database

__all__ = ["CopyReport", "copy_database"]
