# SPDX-License-Identifier: Apache-2.0
"""bench/run http-report: the whole measurement in one run. bench/run sinks: harness/sinks.py.
bench/run gate: tools/perf_gate's part."""
import argparse
import json
import os
import pathlib
import statistics

from . import agreement, build, governance, machine, report, sinks, targets
from .large import measure_large
from .runner import Runner, say
from .scenarios import GATE, Scenario, gate, scenarios
from .servers import ServerFailed
from .targets import Runs

BASELINE = build.ROOT / "bench" / "baseline.json"
PAGE = build.ROOT / "docs" / "performance.md"
GATE_SHARE = 0.7
NOT_MEASURED_IS_OK = "TRIALWIRE_GATE_UNMEASURED"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Measures trialwire beside Gin, fasthttp and a bare epoll "
        "server that stores nothing, in one run on this machine; see bench/README.md.")
    parser.add_argument("what", choices=["http-report", "sinks", "governance", "gate"])
    parser.add_argument("--quick", action="store_true",
                        help="10 s each and once, in place of 30 s and three times")
    parser.add_argument("--repeats", type=int, metavar="N",
                        help="runs of each server in each scenario, 3 unless --quick")
    parser.add_argument("--large", metavar="GIB", type=int, nargs="?", const=10, default=0,
                        help="also with a journal of so many GiB, 10 unless said; four times that "
                        "must be free")
    parser.add_argument("--records", type=int, metavar="N",
                        help="sinks: reports of the backlog, 400,000 unless --quick")
    parser.add_argument("--only", metavar="NAME", action="append", default=[],
                        help="only this scenario or sink; may be given again")
    parser.add_argument("--dir", type=pathlib.Path, default=build.BUILD / "bench-data",
                        help="where data directories are made; not a tmpfs or overlay")
    parser.add_argument("--binary", type=pathlib.Path, help="measure this trialwire")
    parser.add_argument("--no-build", action="store_true", help="take what is built already")
    parser.add_argument("--record", action="store_true",
                        help="write docs/performance.md and bench/baseline.json, or "
                        "docs/performance-sinks.md")
    parser.add_argument("--json", type=pathlib.Path, help="where results go as JSON")
    options = parser.parse_args(arguments)
    if options.json is None:
        name = "sinks.json" if options.what == "sinks" else "results.json"
        options.json = build.BUILD / "bench" / name
    return options


def prepare(options: argparse.Namespace) -> tuple[Runner, dict]:
    cores = machine.cores()
    paths = build.programs(options.binary, build=not options.no_build)
    if options.what == "http-report":
        paths |= build.peers()
    system = machine.check_directory(options.dir, paths["probe"])
    runner = Runner(paths, options.dir.resolve(), server_core=cores[0], client_core=cores[1])
    context = {"machine": machine.describe(), "fileSystem": system, "serverCore": cores[0],
               "clientCore": cores[1]}
    return runner, context


def check_agreement(runner: Runner) -> None:
    """Servers that do not do the same work are not worth comparing."""
    names = [name for name in ("trialwire", "gin", "fasthttp") if name in runner.programs]
    servers = {}
    try:
        for name in names:
            servers[name] = runner.start(name, {})
        found = agreement.disagreements({name: each.port for name, each in servers.items()})
    finally:
        for each in servers.values():
            each.stop()
    if found:
        raise SystemExit("bench: the servers do not answer alike:\n" + "\n".join(found))
    say(f"{', '.join(names)}: ten bodies answered alike")


def run_all(runner: Runner, wanted: list[Scenario], repeats: int) -> Runs:
    """Servers take turns, so that a noisy minute does not meet one of them alone."""
    runs: Runs = {}
    for scenario in wanted:
        for turn in range(repeats if scenario.repeat else 1):
            for name in scenario.servers:
                if name not in runner.programs:
                    continue
                result = runner.run(scenario, name)
                runs.setdefault((scenario.name, name), []).append(result)
                notes = [f"problem: {text}" for text in result.problems]
                if result.client_bound:
                    notes.append("the client was the limit")
                if result.disturbed:
                    notes.append(f"others used {result.others_cpu * 100:.0f} % of a core")
                say(f"  {scenario.name} {turn + 1}/{repeats} {name}: "
                    f"{result.reports_per_second:,.0f}/s, {result.cpu_per_report:.2f} µs, "
                    f"p99 {result.p99:.0f} µs {'; '.join(notes)}")
    return runs


def http_report(options: argparse.Namespace) -> int:
    runner, context = prepare(options)
    seconds, repeats = (10, 1) if options.quick else (30, 3)
    repeats = options.repeats or repeats
    wanted = [s for s in scenarios(seconds) if not options.only or s.name in options.only]
    if not wanted:
        raise SystemExit(f"bench: scenarios are {', '.join(s.name for s in scenarios(1))}")
    check_agreement(runner)
    runner.probe()
    runs = run_all(runner, wanted, repeats)
    large = measure_large(runner, seconds, options.large) if options.large else None
    runner.probe()
    if runner.io_modes - {"direct"}:
        raise SystemExit(f"bench: trialwire's I/O mode was {runner.io_modes}, not direct")

    device = {key: statistics.median(probe[key] for probe in runner.probes)
              for key in ("p50Us", "p99Us")}
    any_run = next(iter(runs.values()))[0]
    context |= {"device": device, "ioMode": "direct", "seconds": seconds, "repeats": repeats,
                "reportBytes": any_run.report_bytes,
                "disturbed": sum(r.disturbed for results in runs.values() for r in results),
                "measured": sum(len(results) for results in runs.values())}
    verdicts = targets.judge(runs, device) + (targets.judge_large(large) if large else [])
    problems = [f"{scenario}, {server}: {text}" for (scenario, server), results in runs.items()
                for result in results for text in result.problems]
    problems += [f"large: {text}" for text in large["problems"]] if large else []
    results_rows = report.results_table(wanted, runs)
    verdict_rows = report.verdict_table(verdicts)
    print(report.conditions(context), report.plain(results_rows), report.plain(verdict_rows),
          sep="\n\n")
    if problems:
        print("\nnot right:", *problems, sep="\n  ")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(report.to_json(context, runs, verdicts, large))
    if options.record:
        report.record(PAGE, report.page_section(context, results_rows, verdict_rows, problems))
        record_baseline(runs)
    return 1 if problems or any(v.reached == "missed" for v in verdicts) else 0


def floor_ratio(runs: Runs) -> float:
    return targets.Medians(runs, None).ratio(GATE, "reports_per_second", "floor")


def record_baseline(runs: Runs) -> None:
    if (GATE, "trialwire") in runs:
        BASELINE.write_text(json.dumps({"pipelinedRateOverFloor": round(floor_ratio(runs), 3)})
                            + "\n")


def run_gate(options: argparse.Namespace) -> int:
    """Fails when trialwire's rate over the floor's fell below 70 % of the recorded ratio. A second
    round decides when the first one fails: a neighbour's burst is not a regression."""
    if not BASELINE.exists():
        raise RuntimeError(f"{BASELINE} is missing: bench/run http-report --record")
    recorded = json.loads(BASELINE.read_text())["pipelinedRateOverFloor"]
    try:
        runner, _ = prepare(options)
    except machine.Unsuitable as error:
        say(f"performance gate: NOT MEASURED: {error}")
        if os.environ.get("CI") and os.environ.get(NOT_MEASURED_IS_OK) != "1":
            say(f"performance gate: FAILED: in CI it must measure; {NOT_MEASURED_IS_OK}=1 lets it "
                "pass without")
            return 1
        return 0
    for round_number in (1, 2):
        runs = run_all(runner, gate(seconds=10), 1)
        problems = [text for results in runs.values() for r in results for text in r.problems]
        ratio = floor_ratio(runs)
        enough = ratio >= GATE_SHARE * recorded and not problems
        say(f"performance gate, round {round_number}: {ratio:.3f} of the floor, recorded "
            f"{recorded:.3f}, at least {GATE_SHARE * recorded:.3f} wanted: "
            f"{'ok' if enough else 'FAILED'} {'; '.join(problems)}")
        if enough:
            return 0
    return 1


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    try:
        run = {"gate": run_gate, "sinks": sinks.run, "governance": governance.run,
               "http-report": http_report}[options.what]
        return run(options)
    except (machine.Unsuitable, ServerFailed, RuntimeError) as error:
        say(f"bench: {error}")
        return 2
