"""AI traffic, citation visibility, satisfied citations and content experiments (S6, S7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EVENTS_READ", "read_frames"]

EVENTS_READ: Final = (
    "answer_generate",
    "citation_show",
    "citation_click",
    "referral_land",
    "page_view",
    "page_engage",
    "page_exit",
    "content_publish",
    "content_edit",
    "agent_fetch",
)


def read_frames(events: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the frames that the GEO analyses take, one per event name, from prepared events.

    Parameters
    ----------
    events
        A prepared dataset's events.

    Returns
    -------
    dict of str to pandas.DataFrame
        As `el.properties` gives them; empty frames with all columns where an event does not occur. Page views that an AI
        engine sent are landings too, of sources that send no event of their own for these.
    """
    from eventlib.geo.arrivals import with_landings  # noqa: PLC0415  # as above
    from eventlib.typed import properties  # noqa: PLC0415  # the row world reads geo.traffic alone

    return with_landings({name: properties(events, name) for name in EVENTS_READ})
