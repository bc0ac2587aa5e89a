"""The command line: `eventlib --help`."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import fields, replace
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, Self

import typer

from eventlib.arguments import refuse_name
from eventlib.errors import BadCallError, EventlibError

if TYPE_CHECKING:
    from eventlib.rows import Log
    from eventlib.simulate import WorldParameters

__all__ = ["app", "main"]

app = typer.Typer(
    help="Event logs you can trust, and the content-ranking signals in them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_INTERRUPTED: Final = 130
_PATIENCE: Final = 10.0  # seconds that an interrupted run has to clear away what it was making
_EXIT_CODES: Final = (
    "Exit codes: 0 done, 2 bad call, 3 data refused, 4 a notebook failed, 5 a kernel died, 6 a gate refused the export, "
    "or a bundle is not sound."
)


def _utf8(path: Path | None) -> Path | None:
    """Refuse a path that a dataset could not write down."""
    if path is not None:
        refuse_name(path)
    return path


Logs = Annotated[list[str], typer.Argument(help="Log files, folders or patterns.", show_default=False)]
Out = Annotated[
    Path, typer.Option("--out", help="Where the result goes.", show_default=False, callback=_utf8)
]
KeyFile = Annotated[
    Path | None, typer.Option("--key", help="File with the key of pseudonyms (64 hexadecimal digits).")
]
Tombstones = Annotated[
    Path | None,
    typer.Option(
        "--tombstones", help="What was erased; by default what lies beside the key.", callback=_utf8
    ),
]
AgentRanges = Annotated[
    Path | None,
    typer.Option(
        "--agent-ranges",
        help="File or folder of the address ranges that agents' operators publish, such as gptbot.json.",
        callback=_utf8,
    ),
]
Schemas = Annotated[
    Path | None,
    typer.Option("--schemas", help="Folder of schemas, instead of the shipped ones.", callback=_utf8),
]
Source = Annotated[
    str,
    typer.Option(
        "--source",
        help="Log format or mapping file (`eventlib sources` lists them); auto tells it from each file's first records.",
    ),
]


def _say(text: str) -> None:
    typer.echo(text)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadCallError(f"--as-of takes a time such as 2026-10-31T00:00:00Z, not {text!r}") from error


class _Progress:
    """A bar on the terminal; silent where there is none."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  # not needed for --help
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415  # as above

        columns = (
            TextColumn("{task.description:<18}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("after"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(
            *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        )
        self._task = self._bar.add_task("", total=None, rate="")
        self._stage = ""
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, stage: str, done: int, of: int, lines: int) -> None:
        """Show how far a stage is: `done` of `of`, and how many lines that is so far."""
        if stage != self._stage and self._stage in ("", "read", "simulate"):
            self._bar.reset(
                self._task
            )  # what is left of another kind of work is not told by the pace of this one
            self._since = time.monotonic()
        self._stage = stage
        seconds = time.monotonic() - self._since
        rate = f"{lines:,} lines"
        if stage in ("read", "simulate") and seconds > 1:
            rate += f", {lines / seconds:,.0f} a second"
        self._bar.update(self._task, description=stage, completed=done, total=of or None, rate=rate)


def _named(items: list[str] | None) -> dict[str, str]:
    """Read `-p name=value`."""
    named: dict[str, str] = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise BadCallError(f"-p takes name=value, not {item!r}")
        named[name] = value
    return named


def _world(default: WorldParameters, named: dict[str, str]) -> WorldParameters:
    """Change a world's rates; they are numbers, whole where the default is."""
    rates = {
        field.name: kind
        for field in fields(default)
        if (kind := type(getattr(default, field.name))) in (int, float)
    }
    changes: dict[str, Any] = {}
    for name, text in named.items():
        if name not in rates:
            raise BadCallError.unknown("parameter", name, rates)
        try:
            changes[name] = rates[name](text)
        except ValueError as error:
            raise BadCallError(f"-p {name} takes a number, not {text!r}") from error
    return replace(default, **changes)


@app.command(epilog=_EXIT_CODES)
def simulate(
    out: Out,
    events: Annotated[int, typer.Option("--events", help="How many log lines.", min=1)] = 40_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.", min=0)] = 1,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", help="A rate of the world as name=number; may be repeated."),
    ] = None,
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Write .ndjson instead of .ndjson.gz.")] = False,
) -> None:
    """Write a simulated log, and the truth about it beside it."""
    from eventlib.simulate import WorldParameters  # noqa: PLC0415  # each command loads what it uses
    from eventlib.simulate import simulate as run  # noqa: PLC0415  # each command loads what it uses

    with _Progress() as progress:
        written = 0

        def step(lines: int) -> None:
            nonlocal written
            written += lines
            progress("simulate", written, events, written)

        result = run(
            out, events, seed, _world(WorldParameters(), _named(parameter)), progress=step, plain=plain
        )
    _say(
        f"{result.events:,} simulated lines in {len(result.files)} files under {out}; the truth is in {result.truth}"
    )


@app.command(epilog=_EXIT_CODES)
def validate(logs: Logs, schemas: Schemas = None, source: Source = "auto") -> None:
    """Judge every line of logs, and say what was refused and where. Exit 3 if anything was."""
    from eventlib.api import read  # noqa: PLC0415  # each command loads what it uses
    from eventlib.ledger import Ledger  # noqa: PLC0415  # as above

    log = read(logs, source=source, schemas=schemas)
    entry = log.log.entry
    _say(f"{entry.rows_in:,} lines, {entry.rows_out:,} valid events")
    for code, count in sorted(entry.removed.items(), key=lambda item: -item[1]):
        _say(f"  {count:>9,}  {code}")
    refused = log.log.quarantine
    for row in refused.slice(0, 20).to_pylist():
        _say(f"{row['source_file']}:{row['line']}: {row['code']} at {row['json_path']}: {row['message']}")
    if len(refused) > 20:
        _say(f"… and {len(refused) - 20:,} more")
    _notes(log.log)
    if Ledger([entry]).rejected:
        raise typer.Exit(3)


@app.command(epilog=_EXIT_CODES)
def sources(
    name: Annotated[
        str | None,
        typer.Argument(help="A format, or a mapping file of your own; all by default.", show_default=False),
    ] = None,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as Markdown.")] = False,
) -> None:
    """List the log formats that are read, or say of one what becomes of its fields and events."""
    from eventlib.sources.describe import as_markdown, describe, list_sources  # noqa: PLC0415  # each command loads what it uses

    if markdown:
        _say(as_markdown([name] if name else [each for each, _, _ in list_sources()]).rstrip("\n"))
    elif name is None:
        for each, title, seen in list_sources():
            _say(f"{each:<14} {title}{f' ({seen})' if seen else ''}")
        _say(
            "Any other: a mapping file of your own, such as shop.yaml; docs/sources.md says how it is written."
        )
    else:
        kind, rows = describe(name)
        _say(f"{kind.about.title}{f' ({kind.about.seen})' if kind.about.seen else ''}")
        for row in rows:
            _say(
                f"  {row.record.replace('`', '')} → {row.canonical.replace('`', '')}{f'  ({row.note})' if row.note else ''}"
            )
        for trap in kind.about.traps:
            _say(f"  Trap: {trap}")


def _notes(log: Log) -> None:
    """Say what is no fault of a line: another version's verdict, and names that will not stay usable (S1.4, S1.6)."""
    from eventlib.schema.naming import lint_event_names  # noqa: PLC0415  # each command loads what it uses

    for row in log.judged_by:
        _say(
            f"Note: {row['rows']:,} {row['event_name']} {row['schema_version']} judged by {row['judged_by']}"
        )
    for finding in lint_event_names(log.event_names()):
        better = f"; better: {finding.suggestion}" if finding.suggestion else ""
        _say(f"Note: the name {finding.name!r} {finding.finding}{better}")


@app.command(epilog=_EXIT_CODES)
def prepare(
    logs: Logs,
    out: Out,
    source: Source = "auto",
    policy: Annotated[str, typer.Option("--policy", help="Consent policy file.")] = "default",
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", help="Moment from which consent is looked at; by default the latest arrival."
        ),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(
            "--registry", help="registry.parquet of an earlier run: its person ids stay.", callback=_utf8
        ),
    ] = None,
    key: KeyFile = None,
    tombstones: Tombstones = None,
    manual_links: Annotated[
        Path | None,
        typer.Option(
            "--manual-links",
            help="CSV of what is known by hand: kind (must_link, cannot_link, junk), left, right, reason, expires. "
            "With --onto: by default as there.",
            callback=_utf8,
        ),
    ] = None,
    agent_ranges: AgentRanges = None,
    onto: Annotated[
        Path | None,
        typer.Option(
            "--onto",
            help="Prepared dataset to which the logs are added, as if all had been prepared at once.",
            callback=_utf8,
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="auto (by size), duckdb, polars, pandas or spark.")
    ] = "auto",
    schemas: Schemas = None,
    master: Annotated[
        str | None,
        typer.Option("--master", help="Spark's master, such as spark://HOST:7077; local[*] by default."),
    ] = None,
    *,
    partitioned: Annotated[
        bool, typer.Option("--partitioned", help="Write events/part-*.parquet, as Spark always does.")
    ] = False,
    plain_identifiers: Annotated[
        bool, typer.Option("--plain-identifiers", help="Save identifiers as they are, not as pseudonyms.")
    ] = False,
    keep_raw: Annotated[
        bool, typer.Option("--keep-raw", help="Keep the text of refused lines in the quarantine.")
    ] = False,
    max_rejected: Annotated[
        float, typer.Option("--max-rejected", help="Refuse the log over this share of rejected records.")
    ] = 0.5,
    unplanned: Annotated[
        str,
        typer.Option(
            "--unplanned",
            help="Event names without a schema: allow, quarantine, or auto: quarantine in native logs alone.",
        ),
    ] = "auto",
    clock: Annotated[
        str,
        typer.Option(
            "--clock",
            help="How times are corrected: device, or as snowplow, segment, posthog or amplitude do.",
        ),
    ] = "device",
    late: Annotated[str, typer.Option("--late", help="Delay over which an event is marked as late.")] = "1h",
    too_late: Annotated[
        str, typer.Option("--too-late", help="Delay of device or pipeline over which an event is refused.")
    ] = "3d",
    ahead: Annotated[
        str, typer.Option("--ahead", help="How far ahead of its arrival an event may be.")
    ] = "23h",
    session_gap: Annotated[
        str, typer.Option("--session-gap", help="A longer pause than this begins a session.")
    ] = "30min",
    session_age: Annotated[
        str, typer.Option("--session-age", help="A session older than this ends.")
    ] = "24h",
) -> None:
    """Prepare logs: validate, filter by consent, order, tell sessions and people apart."""
    if onto is not None and sys.platform == "linux":
        # read once, when pyarrow is loaded; rewriting a dataset's events takes the kernel half as long by it
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    from eventlib.options import Options  # noqa: PLC0415  # each command loads what it uses
    from eventlib.preparing import prepare_to  # noqa: PLC0415  # each command loads what it uses
    from eventlib.pseudonyms import load_keys  # noqa: PLC0415  # as above

    keys = load_keys(key)
    if keys.created:
        _say(f"A key for pseudonyms was created in {keys.file}. Keep it: another key gives other ids.")
    options = Options(
        source,
        policy,
        _moment(as_of),
        registry,
        key,
        engine,
        schemas,
        plain_identifiers,
        keep_raw,
        max_rejected,
        clock,
        late,
        too_late,
        ahead,
        session_gap,
        session_age,
        onto=onto,
        master=master,
        partitioned=partitioned,
        tombstones=tombstones,
        manual_links=manual_links,
        agent_ranges=agent_ranges,
        unplanned=unplanned,
    )
    with _Progress() as progress:
        prepared = prepare_to(logs, out, options, progress)
    _report(prepared, out)
    if onto is not None:
        _say("Against the version that it was added to:")
        _restated(prepared)


@app.command(epilog=_EXIT_CODES)
def replay(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A prepared dataset.", show_default=False, callback=_utf8)
    ],
    out: Out,
    schemas: Schemas = None,
    policy: Annotated[
        str, typer.Option("--policy", help="The policy that the dataset was prepared with.")
    ] = "default",
    key: KeyFile = None,
    agent_ranges: AgentRanges = None,
) -> None:
    """Judge the quarantined lines again, after schemas were mended, and take in what is valid now."""
    from eventlib.options import Options  # noqa: PLC0415  # each command loads what it uses
    from eventlib.replaying import replay_to  # noqa: PLC0415  # as above

    found = replay_to(
        folder, out, Options(policy=policy, key=key, schemas=schemas, agent_ranges=agent_ranges)
    )
    refused = found.lines - found.recovered - found.gone
    _say(
        f"{found.lines:,} quarantined lines judged again: {found.recovered:,} valid now, {refused:,} still refused, "
        f"{found.gone:,} no longer where they stood"
    )
    _report(found.prepared, out)


def _restated(prepared: Any) -> None:
    """Say which numbers of the dataset that was built on have moved (S3.7)."""
    import orjson  # noqa: PLC0415  # each command loads what it uses

    from eventlib.restatement import summary  # noqa: PLC0415  # as above

    content = orjson.loads((prepared.folder / "restatement.json").read_bytes())
    _say_moved(summary(content["numbers"]))


def _say_moved(lines: list[str], most: int = 40) -> None:
    for told in lines[:most]:
        _say(f"  {told}")
    if len(lines) > most:
        _say(f"  … and {len(lines) - most:,} more")


def _report(prepared: Any, out: Path) -> None:
    _say(f"{prepared.ledger.rows_in:,} lines in, {prepared.ledger.rows_out:,} events kept:")
    for entry in prepared.ledger:
        removed = ", ".join(f"{code} {count:,}" for code, count in entry.to_dict()["removed"].items())
        _say(f"  {entry.stage:<12} {entry.rows_in:>10,} → {entry.rows_out:>10,}   {removed}")
    if prepared.run["passed_over"]:
        _say(f"Not read, being no log of a known kind: {', '.join(prepared.run['passed_over'])}")
    _how_read(prepared.run)
    _say(f"Prepared dataset: {out}/current")


def _how_read(run: dict[str, Any], most: int = 12) -> None:
    """Say how files of other formats were read: why so, what was mapped and left, and what was mended."""
    from eventlib.quality.readings import kind_of_repair  # noqa: PLC0415  # each command loads what it uses

    foreign = [entry for entry in run["inputs"] if entry["source"] != "native"]
    for entry in foreign[:most]:
        _say(f"{entry['file']}: {entry['reason']}")
    if len(foreign) > most:
        _say(f"… and {len(foreign) - most:,} more files of other formats")
    told: dict[str, list[dict[str, Any]]] = {}
    for repair in run["repairs"]:
        told.setdefault(kind_of_repair(repair["field"], repair["repair"]), []).append(repair)
    for kind in ("mapped", "guessed", "not kept", "left as it is"):
        if kind in told:
            where = sorted({f"{repair['source']} {repair['field']}" for repair in told[kind]})
            _say(
                f"  {sum(repair['rows'] for repair in told[kind]):>9,}  {kind}: {', '.join(where[:6])}{', …' * (len(where) > 6)}"
            )
    if "mended" in told:
        _say(f"Repaired, {sum(repair['rows'] for repair in told['mended']):,} values:")
    for repair in told.get("mended", []):
        evidence = f" ({repair['evidence']})" if repair["evidence"] else ""
        _say(
            f"  {repair['rows']:>9,}  {repair['source']} {repair['scope']}, {repair['field']}: {repair['repair']}{evidence}"
        )


@app.command(epilog=_EXIT_CODES)
def report(
    notebooks: Annotated[
        list[str] | None, typer.Argument(help="Notebooks by name, such as 04_geo_engagement; all by default.")
    ] = None,
    prepared: Annotated[Path, typer.Option("--prepared", help="A prepared dataset.", callback=_utf8)] = Path(
        "prepared"
    ),
    out: Annotated[Path, typer.Option("--out", help="Where reports are published.", callback=_utf8)] = Path(
        "reports"
    ),
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", help="name=value; may be repeated.")
    ] = None,
    parameter_file: Annotated[
        list[Path] | None, typer.Option("-f", "--parameter-file", help="YAML file of parameters.")
    ] = None,
) -> None:
    """Run notebooks on a prepared dataset and publish their reports."""
    from eventlib.report import run_reports  # noqa: PLC0415  # each command loads what it uses

    run_reports(notebooks or None, prepared, out, _named(parameter), parameter_file or ())
    _say(f"Reports: {out / 'index.html'}")


@app.command(epilog=_EXIT_CODES)
def explain(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A prepared dataset.", show_default=False, callback=_utf8)
    ],
    left: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    right: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    key: KeyFile = None,
    *,
    must_link: Annotated[
        bool, typer.Option("--must-link", help="Say what stating that they are one person would change.")
    ] = False,
    cannot_link: Annotated[
        bool, typer.Option("--cannot-link", help="Say what stating that they are not would change.")
    ] = False,
) -> None:
    """Say why two identifiers are one person, or what keeps them apart."""
    from eventlib.api import explain as run  # noqa: PLC0415  # each command loads what it uses
    from eventlib.prepared import load  # noqa: PLC0415  # as above

    if must_link and cannot_link:
        raise BadCallError("propose --must-link or --cannot-link, not both")
    kind = "must_link" if must_link else "cannot_link" if cannot_link else None
    found = run(load(folder), left, right, key=key, propose=kind)
    _say(found.text())
    if kind is not None and found["proposal"]["changes"]:
        left, right = (found["proposal"][side] for side in ("left", "right"))
        _say(
            f"To state it, add this line to the file that prepare is given as --manual-links:\n  {kind},{left},{right},REASON,DAY"
        )


@app.command(epilog=_EXIT_CODES)
def erase(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A prepared dataset.", show_default=False, callback=_utf8)
    ],
    identifier: Annotated[
        list[str],
        typer.Option(
            "--identifier",
            help="namespace:value as in the log, such as user_id:u-12; may be repeated.",
            show_default=False,
        ),
    ],
    search: Annotated[
        list[Path] | None,
        typer.Option(
            "--search",
            help="Folder of reports, bundles or exports to search too; may be repeated. By default reports and signals beside DIR.",
        ),
    ] = None,
    policy: Annotated[
        str, typer.Option("--policy", help="The policy that the dataset was prepared with.")
    ] = "default",
    schemas: Schemas = None,
    key: KeyFile = None,
    tombstones: Tombstones = None,
) -> None:
    """Erase a person everywhere that eventlib holds them, for good, and prove it. Exit 3 if anything is left."""
    from eventlib.erasure import erase_from  # noqa: PLC0415  # each command loads what it uses
    from eventlib.options import Options  # noqa: PLC0415  # as above

    options = Options(policy=policy, key=key, schemas=schemas, tombstones=tombstones)
    with _Progress() as progress:
        done = erase_from(folder, identifier, options, search, progress)
    for line in done.told():
        _say(line)
    if not done.verified:
        raise typer.Exit(3)


@app.command(name="rotate-key", epilog=_EXIT_CODES)
def rotate_key(key: KeyFile = None) -> None:
    """Make a new key for pseudonyms; the file keeps the old one, for what was erased under it."""
    from eventlib.pseudonyms import rotate_key as rotate  # noqa: PLC0415  # each command loads what it uses

    keys = rotate(key)
    _say(
        f"{keys.file} has a new key, and keeps {len(keys.retired)} of before for erasures. From now on every identifier has "
        "another pseudonym: prepare all logs anew."
    )


@app.command(epilog=_EXIT_CODES)
def restate(
    old: Annotated[
        Path,
        typer.Argument(help="A prepared dataset, or a version of it.", show_default=False, callback=_utf8),
    ],
    new: Annotated[
        Path, typer.Argument(help="The one that restates it.", show_default=False, callback=_utf8)
    ],
) -> None:
    """Say which published numbers moved between two versions of a dataset, by how much, and why."""
    from eventlib.restatement import REASONS, summary  # noqa: PLC0415  # each command loads what it uses
    from eventlib.restatement import restate as run  # noqa: PLC0415  # as above

    rows = run(old, new)
    _say_moved(summary(rows))
    for reason in sorted({reason for row in rows for reason in row["reasons"]}):
        _say(f"{reason}: {REASONS[reason]}")


@app.command(name="check-signals", epilog=_EXIT_CODES)
def check_signals(
    bundle: Annotated[Path, typer.Argument(help="A signal bundle.", show_default=False, callback=_utf8)],
) -> None:
    """Check a signal bundle: digests, schema, and the model's scores on its golden rows. Exit 6 if it is not sound."""
    from eventlib.signals import check_signals as run  # noqa: PLC0415  # each command loads what it uses

    result = run(bundle)
    for finding in result.findings:
        _say(str(finding))
    _say("The bundle is sound." if result.ok else "The bundle is not sound.")
    if not result.ok:
        raise typer.Exit(6)


def _print_what_can_be_shown() -> None:
    """Print a question mark where the terminal has no such character: the work was done all the same."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


_STOPPED: Final = "eventlib: interrupted; nothing was published"


def _interrupted() -> NoReturn:
    typer.echo(_STOPPED, err=True)
    sys.exit(_INTERRUPTED)


def _end_at_once() -> NoReturn:
    os.write(2, f"{_STOPPED}\n".encode())
    os._exit(_INTERRUPTED)


def _heed_interrupts() -> list[int]:
    """End the run on Ctrl-C, at once if asked twice or if it has not ended soon; return a list that then holds the signal.

    What is left behind then, the next run removes. An interrupt within an import can leave a lock of the import system
    held, for which other threads wait for ever.
    """
    asked: list[int] = []

    def stop(number: int, _frame: object) -> NoReturn:
        if asked:
            _end_at_once()
        asked.append(number)
        late = Timer(_PATIENCE, _end_at_once)
        late.daemon = True
        late.start()
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    return asked


def main() -> NoReturn:
    """Run the command line; errors raised on purpose become one message and their exit code."""
    _print_what_can_be_shown()
    asked = _heed_interrupts()
    try:
        app(standalone_mode=True)
    except EventlibError as error:
        typer.echo(f"eventlib: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        typer.echo(f"eventlib: {error.filename or 'the system'}: {error.strerror or error}", err=True)
        sys.exit(BadCallError.exit_code)
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            _interrupted()
        raise
    except Exception:
        if asked:  # a library may make an error of its own of it
            _interrupted()
        raise
    sys.exit(0)
