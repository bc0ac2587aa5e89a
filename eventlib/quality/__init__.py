"""How far a log can be trusted, area by area, and what to do about it, as frames."""

from eventlib.quality.account import (
    caveats,
    common_values,
    daily_volume,
    ledger_frame,
    meaning,
    of_many,
    overview,
    people,
    session_sizes,
)
from eventlib.quality.assess import Assessment, assess
from eventlib.quality.coverage import (
    channel_coverage,
    coverage_by,
    hidden,
    reported_actions,
    tolerances,
)
from eventlib.quality.loss import clashes, lost, retries, sequence_gaps
from eventlib.quality.overtracking import over_tracking
from eventlib.quality.producers import scorecard
from eventlib.quality.readings import readings
from eventlib.quality.rejected import along_the_log, by_file, by_reason, rejections
from eventlib.quality.tasks import KINDS, mends, to_do
from eventlib.quality.timing import (
    clock_offsets,
    clock_summary,
    delay_percentiles,
    delays,
    late_by_day,
    offset_bands,
)
from eventlib.quality.verdict import LIMITS, answer, limits, verdicts

__all__ = [
    "KINDS",
    "LIMITS",
    "Assessment",
    "along_the_log",
    "answer",
    "assess",
    "by_file",
    "by_reason",
    "caveats",
    "channel_coverage",
    "clashes",
    "clock_offsets",
    "clock_summary",
    "common_values",
    "coverage_by",
    "daily_volume",
    "delay_percentiles",
    "delays",
    "hidden",
    "late_by_day",
    "ledger_frame",
    "limits",
    "lost",
    "meaning",
    "mends",
    "of_many",
    "offset_bands",
    "over_tracking",
    "overview",
    "people",
    "readings",
    "rejections",
    "reported_actions",
    "retries",
    "scorecard",
    "sequence_gaps",
    "session_sizes",
    "to_do",
    "tolerances",
    "verdicts",
]
