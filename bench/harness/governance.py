# SPDX-License-Identifier: Apache-2.0
"""bench/run governance: what filters, TLS, refusals and scrapes cost. Each pair takes turns on one
core, so that a noisy minute does not meet one of the two alone; the difference is that of pairs."""
import argparse
import dataclasses
import datetime
import json
import pathlib
import secrets
import shutil
import statistics
import subprocess
import threading
import time

from . import build, machine, report
from .process import Sampler, status_kib
from .runner import say
from .servers import Trialwire
from .targets import Verdict

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "performance-governance.md"
PIPELINED = ["--connections", "256", "--pipeline", "16"]
KEEPALIVE = ["--connections", "256"]
KEEPALIVE_RATE = 50_000
IDLE = 10_000
SCRAPES_PER_SECOND = 5
OPEN_RATE = 20_000
NOTHING = {"limits.shed.concurrent": "0", "limits.shed.queued": "0", "limits.shed.loop_lag": "0",
           "limits.shed.commit_age": "0", "limits.shed.cpu": "100%"}
RATES = {"limits.rate.per_second": "1000000", "limits.rate.burst": "1000000",
         "limits.rate.total_per_second": "1000000000", "limits.rate.total_burst": "1000000000",
         "limits.rate.subject_per_second": "1000000", "limits.rate.subject_burst": "1000000"}


@dataclasses.dataclass
class Run:
    """One load run; times in µs."""

    status: dict
    cpu_per_answer: float
    p99: float
    rate: float

    def all_are(self, status: str) -> bool:
        return set(self.status) == {status}


class Bench:
    def __init__(self, options: argparse.Namespace):
        paths = build.programs(options.binary, build=not options.no_build)
        self.binary = paths["trialwire"]
        self.directory = options.dir.resolve() / "governance"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.system = machine.check_directory(self.directory, paths["probe"])
        self.server_core, self.client_core = machine.cores()[:2]
        self.seconds = 5 if options.quick else 10
        self.turns = options.repeats or (2 if options.quick else 7)
        self.problems: list[str] = []
        self._runs = 0
        self.make_secrets()

    def make_secrets(self) -> None:
        secret, key = self.directory / "secret", self.directory / "key.pem"
        secret.write_text(secrets.token_urlsafe(48))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=bench",
                        "-keyout", key, "-out", self.directory / "cert.pem"],
                       check=True, capture_output=True)
        secret.chmod(0o600)
        key.chmod(0o600)
        self.auth = {"auth.mode": "jwt", "auth.jwt.secret_file": str(secret)}
        self.tls = {"http.tls.cert": str(self.directory / "cert.pem"), "http.tls.key": str(key)}
        sets = [part for name, value in self.auth.items() for part in ("--set", f"{name}={value}")]
        token = subprocess.run(
            [str(self.binary), "token", "issue", *sets, "--name", "bench", "--study", "*",
             "--scope", "reports:write", "--for", "1d"], check=True, capture_output=True, text=True)
        self.token = self.directory / "token"
        self.token.write_text(token.stdout)
        self.token.chmod(0o600)

    def start(self, settings: dict) -> Trialwire:
        self._runs += 1
        server = Trialwire(self.binary, self.directory / f"run-{self._runs}", self.server_core,
                           settings)
        try:
            server.wait_ready()
        except Exception:
            server.kill()
            raise
        return server

    def load(self, server: Trialwire, *arguments: str, tls: bool = False) -> Run:
        scheme = ("https", ["--insecure"]) if tls else ("http", [])
        sampler = Sampler(server.pid, {self.server_core})
        done = subprocess.run(
            ["taskset", "-c", str(self.client_core), str(self.binary), "load",
             f"{scheme[0]}://127.0.0.1:{server.port}", "--json", "--quiet", "--timeout", "60s",
             *scheme[1], *arguments], capture_output=True, text=True, check=False)
        sampler.stop()
        if not done.stdout:
            raise RuntimeError(f"the client failed: {done.stderr.strip()}")
        said = json.loads(done.stdout)
        cpu = sampler.cpu_between(said["windowStartNs"], said["windowEndNs"])
        answers = sum(said["status"].values())
        return Run(said["status"], cpu * 1e6 / max(answers, 1), said["latencyUs"]["p99"],
                   answers / said["seconds"])

    def run(self, settings: dict, *arguments: str, expect: str = "200") -> Run:
        server = self.start(settings)
        try:
            found = self.load(server, "--duration", f"{self.seconds}s", *arguments,
                              tls="http.tls.cert" in settings)
        finally:
            code = server.stop()
            server.remove_data()
        if code != 0:
            self.problems.append(f"trialwire ended with {code}: {server.log_tail()[-300:]}")
        if not found.all_are(expect):
            self.problems.append(f"answers {found.status} where {expect} was to be")
        return found

    def pairs(self, name: str, one, other) -> list[tuple[Run, Run]]:
        found = []
        for turn in range(self.turns):
            # Who is first changes, for a machine that is getting slower or faster.
            pair = (one(), other()) if turn % 2 == 0 else tuple(reversed((other(), one())))
            found.append(pair)
            say(f"  {name} {turn + 1}/{self.turns}: {pair[0].cpu_per_answer:.2f} and "
                f"{pair[1].cpu_per_answer:.2f} µs")
        return found

    def filters(self) -> list[tuple[Run, Run]]:
        token = ["--token-file", str(self.token)]
        # Both are sent the token: what it costs to carry is not what it costs to look at.
        return self.pairs("filters", lambda: self.run(NOTHING, *PIPELINED, *token),
                          lambda: self.run(RATES | self.auth, *PIPELINED, *token))

    def encrypted(self) -> list[tuple[Run, Run]]:
        """At one rate: a client that has to encrypt offers less at once, and a server that has less
        at once takes longer for each, whatever it does."""
        load = [*KEEPALIVE, "--rate", str(KEEPALIVE_RATE)]
        return self.pairs("TLS", lambda: self.run({}, *load), lambda: self.run(self.tls, *load))

    def encrypted_closed(self) -> list[tuple[Run, Run]]:
        return self.pairs("TLS, closed loop", lambda: self.run({}, *KEEPALIVE),
                          lambda: self.run(self.tls, *KEEPALIVE))

    def refusals(self) -> list[tuple[Run, Run]]:
        strict = {"limits.rate.per_second": "1", "limits.rate.burst": "1"}
        return self.pairs("refusals", lambda: self.run({}, *PIPELINED),
                          lambda: self.refused(strict))

    def refused(self, settings: dict) -> Run:
        server = self.start(settings)
        try:
            found = self.load(server, "--duration", f"{self.seconds}s", *PIPELINED)
        finally:
            server.stop()
            server.remove_data()
        taken = found.status.get("200", 0)
        if set(found.status) - {"200", "429"} or taken > 3 * self.seconds:
            self.problems.append(f"answers {found.status} where all but a few 429 were to be")
        return found

    def idle(self) -> float:
        """Memory of so many TLS connections, of which hardly any says anything; bytes."""
        server = self.start(self.tls)
        try:
            self.load(server, "--count", "100", tls=True)
            before = status_kib(server.pid, "VmRSS")
            peak = [0]
            ended = threading.Event()

            def watch() -> None:
                while not ended.wait(0.2):
                    peak[0] = max(peak[0], status_kib(server.pid, "VmRSS"))

            watcher = threading.Thread(target=watch)
            watcher.start()
            found = self.load(server, "--connections", str(IDLE), "--rate", "100", "--duration",
                              "10s", tls=True)
            ended.set()
            watcher.join()
            if not found.all_are("200"):
                self.problems.append(f"idle: answers {found.status}")
        finally:
            server.stop()
            server.remove_data()
        return (peak[0] - before) * 1024

    def scraped(self) -> tuple[list[tuple[Run, Run]], float, int]:
        """An open loop without and with scrapes; the slowest decile of a scrape in ms; series."""
        times: list[float] = []
        series = [0]

        def measure(scrapes: bool) -> Run:
            server = self.start({})
            ended = threading.Event()

            def scrape() -> None:
                while not ended.wait(1 / SCRAPES_PER_SECOND):
                    began = time.monotonic()
                    text = server.metrics()
                    times.append((time.monotonic() - began) * 1e3)
                    series[0] = sum(1 for line in text.splitlines() if line[:1] != "#")

            scraper = threading.Thread(target=scrape)
            if scrapes:
                scraper.start()
            try:
                return self.load(server, "--duration", f"{self.seconds}s", "--warmup", "2s",
                                 *KEEPALIVE, "--rate", str(OPEN_RATE))
            finally:
                ended.set()
                if scrapes:
                    scraper.join()
                server.stop()
                server.remove_data()

        found = self.pairs("scrapes", lambda: measure(False), lambda: measure(True))
        return found, statistics.quantiles(times, n=10)[-1], series[0]


def difference(pairs: list[tuple[Run, Run]]) -> float:
    return statistics.median(b.cpu_per_answer - a.cpu_per_answer for a, b in pairs)


def ratio(pairs: list[tuple[Run, Run]]) -> float:
    return statistics.median(b.cpu_per_answer / a.cpu_per_answer for a, b in pairs)


def verdict(what: str, value: float, most: float, unit: str) -> Verdict:
    return Verdict(what, f"≤ {most:g} {unit}".rstrip(), "", f"{value:.3g} {unit}".rstrip(),
                   "must" if value <= most else "missed")


def cost_rows(measured: dict[str, list[tuple[Run, Run]]]) -> list[list[str]]:
    rows = [["pair", "CPU µs/answer of the one", "of the other", "differences of the pairs"]]
    for name, pairs in measured.items():
        each = sorted(b.cpu_per_answer - a.cpu_per_answer for a, b in pairs)
        rows.append([name, *[f"{statistics.median(pair[i].cpu_per_answer for pair in pairs):.2f}"
                             for i in (0, 1)], f"{each[0]:+.2f} … {each[-1]:+.2f}"])
    return rows


def run(options: argparse.Namespace) -> int:
    bench = Bench(options)
    try:
        filters, tls, closed = bench.filters(), bench.encrypted(), bench.encrypted_closed()
        refusals, idle = bench.refusals(), bench.idle()
        scrapes, slowest, series = bench.scraped()
    finally:
        shutil.rmtree(bench.directory, ignore_errors=True)
    moved = statistics.median(b.p99 / a.p99 for a, b in scrapes)
    verdicts = [
        verdict("all filters, pipelined, a cached token", difference(filters), 0.1, "µs"),
        verdict(f"TLS keep-alive, {KEEPALIVE_RATE:,}/s: CPU over plain", ratio(tls), 1.5, "×"),
        verdict(f"{IDLE:,} idle TLS connections", idle / 1e6, 250, "MB"),
        verdict("a refusal's CPU over an accepted report's", ratio(refusals), 0.25, "×"),
        verdict(f"a scrape of {series} series, nine of ten", slowest, 50, "ms"),
        verdict(f"p99 with {SCRAPES_PER_SECOND} scrapes a second over that without", moved, 1.2, "×")]
    host = machine.describe()
    conditions = [
        f"{host['processor']}, {host['cores']} cores, Linux {host['kernel']}; server whole on one "
        f"core, client on another; data on {bench.system['type']}.",
        f"{bench.turns} pairs of {bench.seconds} s in turns; the median of the pairs' differences "
        "or ratios. Filters: none (no shedding, no tokens, no rates) and all (shedding as shipped, "
        "a token that is known, rates of address, of all and of subject).",
        "A refusal is 429 for the address's rate."]
    rows = cost_rows({"no filters, all filters": filters, f"plain, TLS at {KEEPALIVE_RATE:,}/s": tls,
                      "plain, TLS in a closed loop": closed,
                      "accepted, refused": refusals})
    print("\n".join(conditions), report.plain(report.verdict_table(verdicts)), report.plain(rows),
          sep="\n\n")
    if bench.problems:
        print("\nnot right:", *bench.problems, sep="\n  ")
    if options.record:
        parts = [f"Recorded {datetime.date.today().isoformat()} by `bench/run governance`.", "",
                 *[f"- {line}" for line in conditions], "",
                 report.markdown(report.verdict_table(verdicts)), "", report.markdown(rows)]
        if bench.problems:
            parts += ["", "What was not right:", "", *[f"- {text}" for text in bench.problems]]
        report.record(PAGE, "\n".join(parts))
    return 1 if bench.problems or any(v.reached == "missed" for v in verdicts) else 0
