# SPDX-License-Identifier: Apache-2.0
"""A database server of a test's own: real, on a free port, in its own directory, with fsync on.

PostgreSQL and MariaDB refuse to run as root, so that then they run as another user. A server is
stopped by the id of the process that was started here; nothing else is looked for or ended. When
this program ends without having stopped it, in whatever way, a shell beside the server ends it."""
import base64
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

PATIENCE = 60.0  # seconds for what takes few
USER, PASSWORD, DATABASE = "trialwire", "correct-horse", "trialwire"
POSTGRES_PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")


def encoded(text):
    """As etcd's gateway has keys and values."""
    return base64.b64encode(text.encode()).decode()


class ServiceFailed(Exception):
    """What did not start, and the end of its log."""


def free_port():
    """Nobody else's now; what starts on it says so when that has changed."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def other_user(*names):
    """Whom to run a server as: nobody else unless this is root."""
    if os.geteuid() != 0:
        return {}
    for name in (*names, "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return {}


class Guard:
    """Ends a process when this one is gone: then nobody holds its standard input open any more."""

    def __init__(self, pid):
        self._shell = subprocess.Popen(
            ["sh", "-c", 'while read -r _; do :; done; kill -9 "$1"', "guard", str(pid)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)

    def dismiss(self):
        """Before the process's id is free for another."""
        self._shell.kill()
        self._shell.wait()
        self._shell.stdin.close()


class Service:
    """One server process. Its directory outlives it, so that it can be started again."""

    name = ""
    users = ()
    stop_signal = signal.SIGTERM

    def __init__(self, directory):
        self.directory = pathlib.Path(directory).absolute() / self.name
        self.log_path = self.directory / "log"
        self.as_user = other_user(*self.users)
        self.port = None
        self.process = None
        self.guard = None

    # What a kind of server says about itself.
    def make(self):
        """Makes the data directory; once."""
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def answers(self):
        """Whether it serves requests already."""
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def start(self, wait=True):
        if self.port is None:
            self.port = free_port()
            self.directory.mkdir(parents=True)
            if self.as_user:
                os.chown(self.directory, self.as_user["user"], self.as_user["group"])
            self.make()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=self.directory,
                                            env=self.environment(), **self.as_user)
        self.guard = Guard(self.process.pid)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        end = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None:
                raise ServiceFailed(f"{self.name} ended with {self.process.returncode}: "
                                    f"{self.log_tail()}")
            if time.monotonic() > end:
                raise ServiceFailed(f"{self.name} does not answer: {self.log_tail()}")
            time.sleep(0.05)

    def stop(self):
        """An orderly end, connections of clients cut."""
        self.end(self.stop_signal)

    def kill(self):
        """As `kill -9` does."""
        self.end(signal.SIGKILL)

    def end(self, number):
        if self.process is None:
            return
        self.guard.dismiss()
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def freeze(self):
        """It stays connected and says nothing, nor do the processes that it has for clients."""
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGCONT)

    def processes(self):
        """Its own, and those that it started and still has."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    def remove(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log_tail(self):
        with contextlib.suppress(FileNotFoundError):
            return self.log_path.read_text(errors="replace")[-3000:]
        return ""

    def run(self, command, **options):
        """A program of the server's, as its user, to its end."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE,
                              check=False, cwd=self.directory, env=self.environment(),
                              **self.as_user, **options)
        if done.returncode != 0:
            raise ServiceFailed(f"{pathlib.Path(command[0]).name}: {done.stderr or done.stdout}")
        return done.stdout


class Postgres(Service):
    name = "postgres"
    users = ("postgres",)
    stop_signal = signal.SIGINT  # "fast": transactions are rolled back, connections closed

    def __init__(self, directory, **settings):
        super().__init__(directory)
        # After a kill it syncs all that it has: every file of every test's database, or at once.
        self.settings = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "128MB",
                         "max_connections": "200", "log_min_messages": "warning",
                         "recovery_init_sync_method": "syncfs", **settings}

    def make(self):
        secret = self.directory / "password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o644)
        self.run([POSTGRES_PROGRAMS / "initdb", "-D", self.directory / "data", "-U", USER,
                  "--pwfile", secret, "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C.UTF-8",
                  "--no-sync"])
        self.start()  # on the port chosen already
        self.create_database(DATABASE)
        self.stop()

    def kill(self):
        """With all its processes: while one is about, it does not start again."""
        others = self.processes()[1:] if self.process is not None else []
        super().kill()
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while any(os.path.exists(f"/proc/{pid}") for pid in others) and time.monotonic() < end:
            time.sleep(0.01)

    def command(self):
        settings = {**self.settings, "port": self.port, "listen_addresses": "127.0.0.1",
                    "unix_socket_directories": ""}
        return [POSTGRES_PROGRAMS / "postgres", "-D", self.directory / "data",
                *[part for key, value in settings.items() for part in ("-c", f"{key}={value}")]]

    def answers(self):
        # 0: accepts; 1 and 2: starting or away.
        return subprocess.run([POSTGRES_PROGRAMS / "pg_isready", "-q", "-h", "127.0.0.1", "-p",
                               str(self.port)], check=False).returncode == 0

    def url(self, database=DATABASE, user=USER, password=PASSWORD):
        return f"postgres://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement, database=DATABASE, password=PASSWORD):
        """What psql prints: a line a row, columns apart by tabs."""
        done = subprocess.run(
            [POSTGRES_PROGRAMS / "psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v",
             "ON_ERROR_STOP=1", "-d", self.url(database, password=password)], input=statement,
            capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            raise ServiceFailed(f"psql: {done.stderr}")
        return done.stdout.rstrip("\n")

    def create_database(self, name):
        self.sql(f'CREATE DATABASE "{name}"', database="postgres")
        return self.url(name)

    def cut_connections(self):
        """All but the one that asks."""
        return self.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")


class Etcd(Service):
    """A cluster of one, asked through its JSON gateway."""
    name = "etcd"
    users = ("etcd",)

    def make(self):
        self.peer_port = free_port()

    def command(self):
        url, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer_port}"
        return ["/usr/bin/etcd", "--name", "one", "--data-dir", self.directory / "data",
                "--listen-client-urls", url, "--advertise-client-urls", url,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"one={peer}"]

    def answers(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/health", timeout=5) as answer:
                return json.load(answer)["health"] == "true"
        except (OSError, ValueError):
            return False

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def ask(self, path, **body):
        request = urllib.request.Request(f"http://{self.address}/v3/{path}", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def keys(self):
        """All of them with their values."""
        found = self.ask("kv/range", key=encoded("\0"), range_end=encoded("\0")).get("kvs", [])
        return {base64.b64decode(kv["key"]).decode(): base64.b64decode(kv["value"]).decode()
                for kv in found}

    def put(self, key, value):
        self.ask("kv/put", key=encoded(key), value=encoded(value))

    def delete(self, key):
        self.ask("kv/deleterange", key=encoded(key))

    def revoke(self, lease):
        self.ask("lease/revoke", ID=str(lease))

    def compact(self):
        revision = self.ask("kv/range", key=encoded("x"))["header"]["revision"]
        self.ask("kv/compaction", revision=revision, physical=True)


class MariaDB(Service):
    name = "mariadb"
    users = ("mysql",)

    def __init__(self, directory, **settings):
        super().__init__(directory)
        self.settings = {"innodb-flush-log-at-trx-commit": "1", "innodb-buffer-pool-size": "256M",
                         "character-set-server": "utf8mb4", "skip-log-bin": None,
                         "max-connections": "200", **settings}

    def make(self):
        self.run(["/usr/bin/mariadb-install-db", "--no-defaults", "--skip-test-db",
                  f"--datadir={self.directory}/data", "--skip-name-resolve",
                  f"--tmpdir={self.directory}",  # what another server leaves in /tmp it removes
                  "--auth-root-authentication-method=normal"])
        (self.directory / "init.sql").write_text(
            f"CREATE DATABASE IF NOT EXISTS {DATABASE};\n"
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
            "DELETE FROM mysql.global_priv WHERE User IN ('', 'root');\nFLUSH PRIVILEGES;\n")
        (self.directory / "init.sql").chmod(0o644)

    def command(self):
        options = {**self.settings, "datadir": self.directory / "data", "port": self.port,
                   "bind-address": "127.0.0.1", "socket": "s", "pid-file": "pid",
                   "tmpdir": self.directory,
                   "init-file": self.directory / "init.sql", "skip-name-resolve": None}
        return ["/usr/sbin/mariadbd", "--no-defaults",
                *[f"--{key}" if value is None else f"--{key}={value}"
                  for key, value in options.items()]]

    def client(self, database=DATABASE, password=PASSWORD):
        return ["/usr/bin/mariadb", "--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P",
                str(self.port), "-u", USER, f"-p{password}", "-N", "-B", "-r", database]

    def answers(self):
        return subprocess.run([*self.client(), "-e", "SELECT 1"], capture_output=True,
                              check=False).returncode == 0

    def url(self, database=DATABASE, user=USER, password=PASSWORD):
        return f"mysql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement, database=DATABASE, password=PASSWORD):
        """What the client prints: a line a row, columns apart by tabs."""
        done = subprocess.run(self.client(database, password), input=statement, text=True,
                              capture_output=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            raise ServiceFailed(f"mariadb: {done.stderr}")
        return done.stdout.rstrip("\n")

    def create_database(self, name):
        self.sql(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def cut_connections(self):
        """All but the one that asks."""
        ids = self.sql("SELECT id FROM information_schema.processlist "
                       f"WHERE user = '{USER}' AND id <> connection_id()").split()
        for number in ids:
            with contextlib.suppress(ServiceFailed):
                self.sql(f"KILL CONNECTION {number}")
        return str(len(ids))
