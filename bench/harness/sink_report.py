# SPDX-License-Identifier: Apache-2.0
"""What bench/run sinks found, as tables, as JSON and into docs/performance-sinks.md."""
import argparse
import dataclasses
import datetime
import json
import statistics

from . import build, report, sink_floors
from .targets import Verdict

PAGE = build.ROOT / "docs" / "performance-sinks.md"
MUSTS = {"sqlite": (0.7, None), "postgres": (0.5, 0.7), "mariadb": (0.7, None),
         "kafka": (0.8, None)}


def _median(runs: list, figure: str) -> float:
    return statistics.median(getattr(run, figure) for run in runs)


def _spread(runs: list, figure: str, form: str) -> str:
    values = [getattr(run, figure) for run in runs]
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    return f"{middle} ±{(max(values) - min(values)) / 2 / statistics.median(values) * 100:.0f} %"


def sink_table(runs: dict) -> list[list[str]]:
    rows = [["sink", "records/s", "floor", "floor's records/s", "share of the floor",
             "CPU µs/record", "one at a time", "batching is worth"]]
    for name, each in runs.items():
        rows.append([
            name, _spread(each, "drained", ",.0f"), sink_floors.ALL[name].floor_name,
            _spread(each, "floor", ",.0f"), f"{_median(each, 'share'):.0%}",
            f"{_median(each, 'cpu_per_row'):.1f}", f"{_median(each, 'one_by_one'):,.0f}/s",
            f"{_median(each, 'drained') / _median(each, 'one_by_one'):.0f} ×"])
    return rows


def gateway_table(gateway: dict) -> list[list[str]]:
    rows = [["gateway", "reports/s", "p50", "p99", "the device's own p99", "a sleeper's p99",
             "worst lag", "drained after"]]
    for key, title in (("atRateAlone", "0.7 of the slower sink, alone"),
                       ("atRate", "the same with PostgreSQL and Kafka"),
                       ("saturatedAlone", "saturated, alone"),
                       ("saturated", "the same with PostgreSQL and Kafka")):
        each = gateway[key]
        sinks = not key.endswith("Alone")
        rows.append([title, f"{each['rate']:,.0f}", f"{each['p50'] / 1000:.2f} ms",
                     f"{each['p99'] / 1000:.2f} ms", f"{each['deviceP99'] / 1000:.2f} ms",
                     f"{each['wakeP99'] / 1000:.2f} ms", f"{each['lag']:.1f} s" if sinks else "",
                     f"{each['drainSeconds']:.0f} s" if sinks else ""])
    return rows


def _verdict(what: str, value: float, must: float, aim: float | None, unit: str,
             at_least: bool) -> Verdict:
    def met(limit: float) -> bool:
        return value >= limit if at_least else value <= limit
    sign = "≥" if at_least else "≤"
    reached = ("aim" if aim is not None and met(aim) else "must") if met(must) else "missed"
    return Verdict(what, f"{sign} {must:g} {unit}".rstrip(),
                   "" if aim is None else f"{sign} {aim:g} {unit}".rstrip(),
                   f"{value:.3g} {unit}".rstrip(), reached)


def judge(runs: dict, gateway: dict | None) -> list[Verdict]:
    verdicts = [_verdict(f"{name} over {sink_floors.ALL[name].floor_name}",
                         _median(each, "share"), *MUSTS[name], "×", True)
                for name, each in runs.items()]
    if gateway is not None:
        rate, alone = gateway["atRate"], gateway["atRateAlone"]
        full, full_alone = gateway["saturated"], gateway["saturatedAlone"]
        verdicts += [
            _verdict("0.7 of the slower sink: lag", rate["lag"], 2, None, "s", False),
            _verdict("0.7 of the slower sink: intake p99 over intake alone",
                     rate["p99"] / alone["p99"], 1.3, None, "×", False),
            _verdict("saturated: intake over intake alone", full["rate"] / full_alone["rate"], 0.7,
                     None, "×", True)]
    return verdicts


def _conditions(context: dict) -> list[str]:
    host, system = context["machine"], context["fileSystem"]
    return [f"{host['processor']}, {host['cores']} cores, {host['memoryMiB']} MiB, Linux "
            f"{host['kernel']}; all of it, trialwire, its client and the servers, shares the cores.",
            f"Data on {system['type']} ({system['device']}), fsync on everywhere.",
            f"{context['records']:,} reports of {context['recordBytes']:.0f} bytes; "
            f"{context['repeats']} repeat(s), median and half the spread.",
            "A sink's rate is that at which it takes a backlog, from its first tenth to its end; "
            "rows are counted afterwards, each once.",
            "Beside the gateway a program of its own writes and syncs a block every 10 ms: the "
            "device's own p99, and how late it is woken, is what the machine is like meanwhile."]


def show(options: argparse.Namespace, context: dict, runs: dict, gateway: dict | None) -> int:
    verdicts = judge(runs, gateway)
    problems = [f"{name}: {text}" for name, each in runs.items() for run in each
                for text in run.problems] + (gateway["problems"] if gateway else [])
    tables = [report.verdict_table(verdicts), sink_table(runs)]
    tables += [gateway_table(gateway)] if gateway else []
    print("\n".join(_conditions(context)), *map(report.plain, tables), sep="\n\n")
    if problems:
        print("\nnot right:", *problems, sep="\n  ")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(
        {**context, "gateway": gateway, "verdicts": [dataclasses.asdict(v) for v in verdicts],
         "runs": [dataclasses.asdict(run) for each in runs.values() for run in each]},
        indent=1, ensure_ascii=False) + "\n")
    if options.record:
        parts = [f"Recorded {datetime.date.today().isoformat()} by `bench/run sinks`.", "",
                 *[f"- {line}" for line in _conditions(context)]]
        for table in tables:
            parts += ["", report.markdown(table)]
        if problems:
            parts += ["", "What was not right:", "", *[f"- {problem}" for problem in problems]]
        report.record(PAGE, "\n".join(parts))
    return 1 if problems or any(v.reached == "missed" for v in verdicts) else 0
