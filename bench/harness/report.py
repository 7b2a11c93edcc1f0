# SPDX-License-Identifier: Apache-2.0
"""Results as tables for people, as JSON for scripts, and into docs/performance.md."""
import dataclasses
import datetime
import json
import pathlib
import statistics

from .client import CLIENT_LIMIT, OTHERS_LIMIT, Measured
from .scenarios import Scenario
from .targets import MIB, Runs, TABLES, Verdict

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def _spread(results: list[Measured], figure: str, form: str, scale: float = 1) -> str:
    values = [getattr(result, figure) * scale for result in results]
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    half = (max(values) - min(values)) / 2
    share = half / statistics.median(values) * 100 if statistics.median(values) else 0
    return f"{middle} ±{share:.0f} %"


def _sink(results: list[Measured]) -> str:
    value = statistics.median(result.sink_cpu_per_report for result in results)
    return f"{value:.2f}" if value else ""


def _latency(results: list[Measured], figure: str) -> str:
    value = statistics.median(getattr(result, figure) for result in results)
    return f"{value:.0f} µs" if value < 1000 else f"{value / 1000:.2f} ms"


def results_table(scenarios: list[Scenario], runs: Runs) -> list[list[str]]:
    rows = [["scenario", "server", "reports/s", "CPU µs/report", "of it sink", "p50", "p99", "peak memory",
             "server CPU", "client CPU"]]
    for scenario in scenarios:
        for server in scenario.servers:
            results = runs.get((scenario.name, server))
            if not results:
                continue
            client = statistics.median(result.client_cpu for result in results)
            memory = statistics.median(result.peak_memory for result in results)
            rows.append([
                scenario.title, server, _spread(results, "reports_per_second", ",.0f"),
                _spread(results, "cpu_per_report", ".2f"), _sink(results), _latency(results, "p50"),
                _latency(results, "p99"), f"{memory / 1e6:.0f} MB",
                f"{statistics.median(result.server_cpu for result in results) * 100:.0f} %",
                f"{client * 100:.0f} %{' (the limit)' if client >= CLIENT_LIMIT else ''}"])
    return rows


def verdict_table(verdicts: list[Verdict]) -> list[list[str]]:
    return [["", "must", "aim", "measured", "reached"]] + [
        [v.what, v.must, v.aim, v.value, v.reached] for v in verdicts]


def plain(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
             for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def conditions(context: dict) -> str:
    """What must be said beside every figure."""
    system, device, host = context["fileSystem"], context["device"], context["machine"]
    lines = [
        f"{host['processor']}, {host['cores']} cores, {host['memoryMiB']} MiB, "
        f"Linux {host['kernel']}; load {host['loadAverage']:.2f} at the start.",
        f"Server whole on core {context['serverCore']}, client on core {context['clientCore']}; "
        f"{context['seconds']:g} s measured after the warm-up, {context['repeats']} repeat(s), "
        "median and half the spread.",
        f"A report is {context['reportBytes']:.0f} bytes; each has a reportId of its own.",
        f"Data on {system['type']} ({system['device']}), I/O mode {context['ioMode']}.",
        f"The device's own 4 KiB O_DIRECT write + fdatasync: p50 {device['p50Us']:.0f} µs, "
        f"p99 {device['p99Us']:.0f} µs.",
        "CPU is that of the whole process; the database sink runs at idle priority and takes what "
        "the rest of it leaves of the core, so its share is shown too.",
        f"Memory beyond the tables is the peak (VmHWM) less {TABLES // MIB} MiB: dedupe.memory "
        "64 MiB and journal.recent_bytes 16 MiB, as shipped.",
    ]
    if context["disturbed"]:
        lines.append(f"In {context['disturbed']} of {context['measured']} runs something else used "
                     f"more than {OTHERS_LIMIT * 100:.0f} % of a core: figures are too low there.")
    return "\n".join(lines)


def to_json(context: dict, runs: Runs, verdicts: list[Verdict], large: dict | None) -> str:
    return json.dumps({
        **context,
        "runs": [{"scenario": scenario, **dataclasses.asdict(result)}
                 for (scenario, _), results in runs.items() for result in results],
        "verdicts": [dataclasses.asdict(verdict) for verdict in verdicts],
        "large": large}, indent=1, ensure_ascii=False) + "\n"


def record(page: pathlib.Path, body: str) -> None:
    """Replaces what is between the markers."""
    text = page.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}")


def page_section(context: dict, results: list[list[str]], verdicts: list[list[str]],
                 problems: list[str]) -> str:
    today = datetime.date.today().isoformat()
    parts = [f"Recorded {today} by `bench/run http-report`.", "",
             "\n".join(f"- {line}" for line in conditions(context).splitlines()), "",
             markdown(verdicts), "", markdown(results)]
    if problems:
        parts += ["", "What was not right:", "", *[f"- {problem}" for problem in problems]]
    return "\n".join(parts)
