"""`el.validate`: the check at somebody's ingestion point, and the stage on a frame of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventlib.schema import registry

__all__ = ["validate"]


def validate(event: Mapping[Any, Any] | Any) -> Any:
    """Validate one event, or a frame with a column `event` of JSON texts.

    The first event loads the shipped schemas. From then on no file is read, and threads may share the function.

    Parameters
    ----------
    event
        One event as a dict, or a frame whose column `event` holds JSON texts.

    Returns
    -------
    list of Violation or StageResult
        For a dict every violation in the order of (path, keyword), none where it is valid; the verdict is the one that
        its line in a log would get, and whatever the dict holds, nothing is raised. For a frame the valid rows, the
        refused ones with `removed_by`, and the accounting.

    Examples
    --------
    >>> [violation.code for violation in validate({"event_name": "page_veiw", "schema_version": "1-0-0"})]
    ['unknown_event']
    >>> validate({"sequence": float("nan")})[0].message
    'NaN and Infinity are not JSON'
    """
    if isinstance(event, dict) or isinstance(event, Mapping):  # noqa: SIM101  # the abstract class is ten times slower
        return registry().violations(event)
    from eventlib.stages import validate_frame  # noqa: PLC0415  # an ingestion point needs no engine of frames

    return validate_frame(event)
