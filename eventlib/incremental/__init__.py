"""A day's log added to a prepared dataset (S3.6, S3.7)."""

from eventlib.incremental.base import Base, open_base, refuse_known, relearned
from eventlib.incremental.run import Added, add_rows

__all__ = ["Added", "Base", "add_rows", "open_base", "refuse_known", "relearned"]
