# SPDX-License-Identifier: Apache-2.0
"""The real binary in a real etcd: registered under every name, back within 15 s whatever happened,
gone before it stops serving; and who looks for it, who keeps the list that it had."""
import re
import subprocess
import threading
import time
import unittest

import service_case  # first: it makes tests/e2e importable

import harness
import servers
from harness import eventually

BACK_WITHIN = 15.0  # seconds
NAMES = ("collection", "trial", "user", "edc", "epro")


class Watcher:
    """`trialwire discovery --watch`: the lines that it prints."""

    def __init__(self, etcd, name):
        self.lines = []
        self.process = subprocess.Popen(
            [harness.BINARY, "discovery", "--watch", name, "--set", f"discovery.etcd={etcd.address}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.split()[1:])

    def last(self):
        return self.lines[-1] if self.lines else None

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


class EtcdTest(service_case.ServiceTest):
    def setUp(self):
        super().setUp()
        self.etcd = self.own(servers.Etcd).start()

    def gateway(self, name="gateway", **settings):
        made = harness.Server(self.directory / name, **{
            "discovery.etcd": self.etcd.address, "discovery.ttl": "5s", **settings})
        made.directory.mkdir()
        self.addCleanup(made.kill)
        return made

    def watcher(self, name="collection.rpc"):
        made = Watcher(self.etcd, name)
        self.addCleanup(made.end)
        return made

    def lease(self, name="collection.rpc"):
        keys = [key for key in self.etcd.keys() if key.startswith(name + "/")]
        return int(keys[0].split("/")[1]) if keys else None

    def registered(self, gateway):
        """Under every name, each NAME/LEASE in decimal, as go-zero has it."""
        keys = {key: value for key, value in self.etcd.keys().items() if value == gateway.http}
        names = sorted(key.split("/")[0] for key in keys)
        return names == sorted(f"{name}.rpc" for name in NAMES) and keys

    def back(self, gateway, what):
        began = time.monotonic()
        eventually(f"registered after {what}", lambda: self.registered(gateway), BACK_WITHIN)
        print(f"\n{what}: registered again after {time.monotonic() - began:.1f} s", end=" ",
              flush=True)

    def test_every_name_is_registered_and_taken_back_before_clients_are_drained(self):
        gateway = self.gateway().start()
        keys = eventually("registered", lambda: self.registered(gateway), BACK_WITHIN)
        for key in keys:
            self.assertRegex(key, r"^[a-z]+\.rpc/[1-9]\d*$")
        self.assertEqual(len({key.split("/")[1] for key in keys}), 1)
        self.assertIn("discovery ok: registered by lease", gateway.ask_admin("/readyz").body.decode())
        self.assertEqual(gateway.metric("trialwire_discovery_registered"), len(NAMES))
        shown = gateway.run("discovery")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertEqual(shown.stdout.splitlines(), [f"{name}.rpc {gateway.http}" for name in NAMES])
        self.assertIn("5 registrations of these names",
                      gateway.run("config", "check", "--connect").stdout)
        # A client that has sent half of its request holds up the drain; its etcd entry is gone by then.
        connection = gateway.connect()
        connection.putrequest("POST", "/v1/epro/reports")
        connection.putheader("Content-Type", "application/json")
        body = b'{"patientId":"P-1","trialId":"T-1","timestamp":"2026-03-01T08:15:30Z","qolScore":1}'
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:10])
        time.sleep(0.2)
        gateway.process.terminate()
        eventually("taken back", lambda: not self.etcd.keys())
        self.assertIsNone(gateway.process.poll(), "it still serves who has begun")
        connection.send(body[10:])
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        self.assertEqual(gateway.wait(), 0)

    def test_a_key_that_is_deleted_comes_back(self):
        gateway = self.gateway().start()
        keys = eventually("registered", lambda: self.registered(gateway), BACK_WITHIN)
        self.etcd.delete(next(iter(keys)))
        self.back(gateway, "a key deleted")
        self.assertEqual(self.registered(gateway), keys, "under the lease of before")
        for key in keys:
            self.etcd.delete(key)
        self.back(gateway, "all keys deleted")
        self.assertGreaterEqual(gateway.metric("trialwire_discovery_keys_restored_total"), 6)

    def test_a_lease_that_is_revoked_is_followed_by_another(self):
        gateway = self.gateway().start()
        eventually("registered", lambda: self.registered(gateway), BACK_WITHIN)
        first = self.lease()
        self.etcd.revoke(first)
        self.assertFalse(self.etcd.keys())
        self.back(gateway, "lease revoked")
        self.assertNotEqual(self.lease(), first)

    def test_etcd_killed_and_back_and_emptied_and_back(self):
        gateway = self.gateway().start()
        watcher = self.watcher()
        eventually("registered", lambda: self.registered(gateway), BACK_WITHIN)
        eventually("found", lambda: watcher.last() == [gateway.http])
        self.etcd.kill()
        eventually("it is noticed", lambda: "discovery degraded: not registered" in
                   gateway.ask_admin("/readyz").body.decode())
        self.assertEqual(gateway.ask_admin("/readyz").status, 200, "intake goes on")
        self.assertEqual(gateway.post("/v1/epro/reports", harness.report(1)).status, 200)
        time.sleep(6)  # longer than the lease
        self.assertEqual(watcher.last(), [gateway.http], "who was found is kept")
        self.etcd.start()
        self.back(gateway, "etcd killed for longer than the lease")
        self.etcd.kill()
        subprocess.run(["rm", "-rf", self.etcd.directory / "data"], check=True)
        self.etcd.start()
        self.back(gateway, "etcd lost with all that it had")
        second = self.gateway("second", **{"data_dir": str(self.directory / "second/data")}).start()
        both = sorted([gateway.http, second.http])
        eventually("both are found", lambda: watcher.last() == both, BACK_WITHIN)
        self.assertEqual([line for line in watcher.lines if not line], [], "never an empty list")
        second.stop()
        eventually("one is found", lambda: watcher.last() == [gateway.http], BACK_WITHIN)

    def test_etcd_that_is_frozen_delays_neither_start_nor_stop(self):
        self.etcd.freeze()
        began = time.monotonic()
        gateway = self.gateway().start()
        started = time.monotonic() - began
        self.assertEqual(gateway.post("/v1/epro/reports", harness.report(1)).status, 200)
        time.sleep(1)
        began = time.monotonic()
        self.assertEqual(gateway.stop(), 0)
        stopped = time.monotonic() - began
        print(f"\netcd frozen: started in {started:.2f} s, stopped in {stopped:.2f} s", end=" ")
        self.assertLess(stopped, 5)
        gateway.start()
        self.etcd.thaw()
        self.back(gateway, "etcd thawed")
        self.etcd.freeze()
        began = time.monotonic()
        self.assertEqual(gateway.stop(), 0)
        self.assertLess(time.monotonic() - began, 6)

    def test_a_process_that_is_killed_goes_with_its_lease_and_compaction_loses_nobody(self):
        first, second = self.gateway("first").start(), self.gateway("second").start()
        watcher = self.watcher()
        both = sorted([first.http, second.http])
        eventually("both", lambda: watcher.last() == both, BACK_WITHIN)
        first.kill()
        eventually("one", lambda: watcher.last() == [second.http], BACK_WITHIN)
        for number in range(20):
            self.etcd.put("other/key", str(number))
        self.etcd.compact()
        self.etcd.restart()
        self.etcd.put("collection.rpc/1", "10.0.0.1:80")
        eventually("told after a compaction and a restart",
                   lambda: "10.0.0.1:80" in (watcher.last() or []), BACK_WITHIN)

    def test_names_and_address_are_those_of_the_settings(self):
        gateway = self.gateway(**{"discovery.keys.collection": "ours.rpc", "discovery.keys.edc": "",
                                  "discovery.advertise": "10.1.2.3:0"}).start()
        port = gateway.http.rsplit(":", 1)[1]
        found = eventually("registered", self.etcd.keys, BACK_WITHIN)
        self.assertEqual({key.split("/")[0] for key in found},
                         {"ours.rpc", "trial.rpc", "user.rpc", "epro.rpc"})
        self.assertEqual(set(found.values()), {f"10.1.2.3:{port}"})

    def test_etcd_s_users(self):
        self.etcd.ask("auth/user/add", name="root", password="correct-horse")
        self.etcd.ask("auth/role/add", name="root")
        self.etcd.ask("auth/user/grant", user="root", role="root")
        self.etcd.ask("auth/enable")
        password = self.directory / "password"
        password.write_text("wrong\n")
        password.chmod(0o600)
        gateway = self.gateway(**{"discovery.username": "root",
                                  "discovery.password_file": str(password)}).start()
        eventually("refused", lambda: re.search(r"discovery degraded: not registered: etcd answers",
                                                gateway.ask_admin("/readyz").body.decode()))
        password.write_text("correct-horse\n")
        eventually("registered", lambda: "discovery ok" in
                   gateway.ask_admin("/readyz").body.decode(), BACK_WITHIN)
        self.assertEqual(gateway.run("discovery", "trial.rpc").stdout, f"trial.rpc {gateway.http}\n")
        for secret in ("correct-horse", "wrong"):
            self.assertNotIn(secret, gateway.log())


if __name__ == "__main__":
    unittest.main()
