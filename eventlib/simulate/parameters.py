"""What the simulated world assumes, as numbers: every rate in one place, written beside the log as truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eventlib.errors import BadCallError

__all__ = [
    "ENGINES",
    "ENGINES_THIRD_PARTY",
    "Bools",
    "Floats",
    "Ints",
    "WorldParameters",
    "WorldSize",
    "generator",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ENGINES_THIRD_PARTY: Final = ("chatgpt", "perplexity", "gemini", "google_ai_overview", "copilot")
ENGINES: Final = (*ENGINES_THIRD_PARTY, "site_assistant")

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
"""Times inside the simulation are Int64 microseconds since 1970, UTC."""

CHUNK_LINES: Final = 40_000
"""Lines simulated at a time; part of the world's definition, since each chunk has its own random stream."""


@dataclass(frozen=True, slots=True)
class WorldParameters:
    """The rates of the world. Shares are probabilities in [0, 1] unless said otherwise."""

    # time
    start: str = "2026-08-03T00:00:00"
    days: int = 90
    # content and prompts; sizes are for 40,000 events and grow slowly with the log
    pages: int = 60
    topics: int = 8
    prompts: int = 40
    edited_share: float = 0.2
    null_edit_share: float = 0.35
    lift_cite: float = 0.6  # log odds of being cited
    lift_click: float = 0.45  # logit of a click once seen
    lift_satisfy: float = 0.35  # log of the median dwell time
    page_drift_sd: float = 0.02  # weekly random walk of a page's log odds of being cited
    # the site's own assistant: position-based clicks
    kappa: float = 0.6  # correlation of a page's usual position with its attractiveness
    swap_noise: float = 0.8  # sd of what moves positions from answer to answer, against a usual spread of 1
    examination_inline: float = 0.7  # rank k is seen with k^-this
    examination_panel: float = 0.45
    panel_seen: float = 0.8  # factor on the panel's curve
    panel_share: float = 0.2
    trust_bias: float = 0.0  # share of seen but unattractive citations clicked at rank 1; falls as 1/k
    person_click_sd: float = 0.4  # logit; makes the clicks of one person alike
    person_dwell_sd: float = 0.2
    dwell_sd: float = 0.8
    heartbeat_ms: int = 15_000
    heartbeats_max: int = 6
    exit_missing_share: float = 0.2
    exit_missing_slope: float = 0.0  # log odds of a missing exit per unit of log dwell: informative if not 0
    # people
    account_share: float = 0.45
    shared_device_share: float = 0.08
    kiosk_people: int = 24  # users of each public device; one device per thousand people
    login_share: float = 0.55
    reset_share: float = 0.4  # of logouts
    junk_login_share: float = 0.01
    cookie_clear_share: float = 0.03
    email_link_share: float = 0.3
    # consent
    jurisdictions: tuple[tuple[str, float], ...] = (
        ("EEA", 0.42),
        ("UK", 0.12),
        ("US-CA", 0.14),
        ("US-TX", 0.10),
        ("US-VA", 0.05),
        ("US-NY", 0.03),
        ("US", 0.02),
        ("CH", 0.02),
        ("OTHER", 0.10),
    )
    accept_all_share: float = 0.74
    partial_share: float = 0.12
    refuse_share: float = 0.09  # the rest says nothing
    opt_out_share: float = 0.08
    gpc_share: float = 0.06
    us_privacy_share: float = 0.03  # of people under opt-out: their devices state a US Privacy string too
    withdraw_share: float = 0.03
    regrant_share: float = 0.3
    # machines
    probe_share: float = 0.1  # of the lines
    agent_fetch_share: float = 0.035
    bot_view_share: float = 0.015
    # clocks and transport
    skew_share: float = 0.12  # of devices
    clock_jump_share: float = 0.02
    sequence_restart_share: float = 0.01
    offline_share: float = 0.03  # of sessions
    offline_too_late_share: float = 0.05  # of those: over three days
    late_share: float = 0.004  # of sent batches: an hour to two days in the pipeline
    # faults of lines
    duplicate_share: float = 0.015
    duplicate_changed_share: float = 0.0005
    broken_share: float = 0.008
    off_plan_share: float = 0.006
    burst_share: float = 0.003  # of page views: one heartbeat repeated
    hostile_text_share: float = 0.02  # of free texts: markup, formulas, addresses
    lost_client_share: float = 0.12  # of conversions: the tracker was blocked, only the server tells

    def __post_init__(self) -> None:
        """Check the shares once, here."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_share") and not 0 <= value <= 1:
                raise BadCallError(f"{field.name}={value} is not a share; it must lie in [0, 1]")
        if not 0 <= self.kappa <= 1 or self.swap_noise < 0:
            raise BadCallError(
                f"kappa={self.kappa} must lie in [0, 1] and swap_noise={self.swap_noise} be at least 0"
            )
        if self.days < 42 or self.topics < 1:
            raise BadCallError(f"days={self.days} must be at least 42 and topics={self.topics} at least 1")

    @property
    def start_us(self) -> int:
        """The start of the window, µs."""
        return int(np.datetime64(self.start, "us").astype(np.int64))

    @property
    def end_us(self) -> int:
        """The end of the window, µs, exclusive."""
        return self.start_us + self.days * DAY

    def examination(self, ranks: int = 8) -> Floats:
        """Return how likely a rank is seen, shape (2, ranks): rows inline and panel, ranks from 1."""
        rank = np.arange(1, ranks + 1, dtype=np.float64)
        return np.stack([rank**-self.examination_inline, self.panel_seen * rank**-self.examination_panel])

    def as_dict(self) -> dict[str, Any]:
        """Return all parameters for `world.json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class WorldSize:
    """How much of each thing a log of so many lines has: pages and prompts grow slowly, visits linearly."""

    pages: int
    prompts: int
    tracked_prompts: int
    probe_period_days: int

    @classmethod
    def of(cls, events: int, parameters: WorldParameters) -> WorldSize:
        """Scale the world to the number of lines."""
        ratio = max(events, 1) / 40_000
        pages = int(np.clip(parameters.pages * ratio**0.2, 16, 2 * parameters.pages))
        prompts = int(np.clip(parameters.prompts * ratio**0.35, 8, 8 * parameters.prompts))
        runs = max(parameters.probe_share * events / 5.5, 1.0)
        weekly = len(ENGINES_THIRD_PARTY) * parameters.days / 7
        tracked = int(np.clip(runs / weekly, 2, prompts))
        period = round(tracked * len(ENGINES_THIRD_PARTY) * parameters.days / runs)
        return cls(pages, prompts, tracked, max(1, period))


def generator(seed: int, *path: int) -> np.random.Generator:
    """Return the random stream of one part of the world: the same for the same seed and path."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=path)))
