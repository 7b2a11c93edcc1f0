# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka of a test's own, one node that is broker and controller (KRaft), and a client of it
that is Kafka's own Java library: what trialwire writes with librdkafka is read by another one."""
import base64
import dataclasses
import json
import os
import pathlib
import subprocess
import uuid

from certificates import Authority
from servers import PASSWORD, USER, Service, ServiceFailed, free_port

HERE = pathlib.Path(__file__).resolve().parent
JARS = pathlib.Path(os.environ.get("TRIALWIRE_KAFKA_JARS",
                                   HERE.parent.parent / "build/services/kafka"))
JAVA = ["java", "-XX:+UseSerialGC", f"-Dlog4j.configuration=file:{HERE}/kafka/log4j.properties"]


def java(*arguments, memory="256m", compile_fast=True):
    """A command; what is compiled fast starts sooner, what is not runs faster in the end."""
    tiers = ["-XX:TieredStopAtLevel=1"] if compile_fast else []
    return [*JAVA, *tiers, f"-Xmx{memory}", "-cp", f"{JARS}/classes:{JARS}/*", *arguments]


MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def passwords_of(listener):
    """A listener that asks for user and password, by whichever mechanism."""
    modules = "org.apache.kafka.common.security"
    return {
        f"listener.name.{listener}.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        f"listener.name.{listener}.plain.sasl.jaas.config":
            f'{modules}.plain.PlainLoginModule required username="{USER}" password="{PASSWORD}" '
            f'user_{USER}="{PASSWORD}";',
        **{f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config":
           f"{modules}.scram.ScramLoginModule required;" for mechanism in MECHANISMS[1:]}}


class Kafka(Service):
    """Listeners: plain text, and one that asks for user and password."""

    name = "kafka"

    def __init__(self, directory, fast_start=True, **settings):
        super().__init__(directory)
        self.as_user = {}  # it may run as root
        self.settings = {"auto.create.topics.enable": "false", "num.partitions": "4", **settings}
        self.controller_port = None
        self.password_port = None
        self.fast_start = fast_start  # or fast when it has run for a while

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def password_address(self):
        return f"127.0.0.1:{self.password_port}"

    def listeners(self):
        """Name: protocol, address to listen at, address that clients are told."""
        self.controller_port, self.password_port = free_port(), free_port()
        controller = f"127.0.0.1:{self.controller_port}"
        return {"PLAINTEXT": ("PLAINTEXT", self.address, self.address),
                "PASSWORD": ("SASL_PLAINTEXT", self.password_address, self.password_address),
                "CONTROLLER": ("PLAINTEXT", controller, None)}

    def make(self):
        listeners = self.listeners()
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(f"{name}://{at}" for name, (_, at, _) in listeners.items()),
            "advertised.listeners": ",".join(
                f"{name}://{told}" for name, (_, _, told) in listeners.items() if told),
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, (protocol, _, _) in listeners.items()),
            **passwords_of("password"),
            "log.dirs": self.directory / "data",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "controlled.shutdown.enable": "false",
            **self.settings,
        }
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        first, *rest = uuid.uuid4().bytes  # the id must not look like an option: no "-" first
        cluster = base64.urlsafe_b64encode(bytes([first & 0x7F, *rest])).decode().rstrip("=")
        users = [f"{mechanism}=[name={USER},password={PASSWORD}]" for mechanism in MECHANISMS[1:]]
        self.run(java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.properties,
                      *[part for user in users for part in ("--add-scram", user)]))

    @property
    def properties(self):
        return self.directory / "server.properties"

    def command(self):
        self.started_at = self.log_path.stat().st_size if self.log_path.exists() else 0
        return java("kafka.Kafka", self.properties, memory="768m", compile_fast=self.fast_start)

    def answers(self):
        with open(self.log_path, "rb") as log:
            log.seek(self.started_at)
            return b"Kafka Server started" in log.read()

    def client(self):
        return KafkaClient(self.address)


class TlsKafka(Kafka):
    """Beside those, listeners with TLS: without credentials, with user and password, and one that
    wants a client's certificate. The broker's own is for the name localhost, and only for that."""

    def __init__(self, directory, **settings):
        super().__init__(directory, **settings)
        self.authority = None
        self.tls_port = self.tls_password_port = self.tls_client_port = None

    def listeners(self):
        self.tls_port, self.tls_password_port = free_port(), free_port()
        self.tls_client_port = free_port()
        ports = {"TLS": ("SSL", self.tls_port), "TLSPASSWORD": ("SASL_SSL", self.tls_password_port),
                 "TLSCLIENT": ("SSL", self.tls_client_port)}
        return {**super().listeners(),
                **{name: (protocol, f"127.0.0.1:{port}", f"localhost:{port}")
                   for name, (protocol, port) in ports.items()}}

    def make(self):
        self.authority = Authority(self.directory, "authority")
        own = self.authority.certificate("broker", "DNS:localhost")
        store = self.directory / "broker.store"
        store.write_text(own.key.read_text() + own.cert.read_text())
        self.settings = {
            "ssl.keystore.type": "PEM", "ssl.keystore.location": store,
            "ssl.truststore.type": "PEM", "ssl.truststore.location": self.authority.cert,
            "listener.name.tlsclient.ssl.client.auth": "required",
            **passwords_of("tlspassword"), **self.settings}
        super().make()


@dataclasses.dataclass(frozen=True)
class Message:
    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: dict

    def json(self):
        return json.loads(self.value)


class KafkaClient:
    """One Java process; a request is a line of JSON, so is its answer."""

    def __init__(self, address):
        self.process = subprocess.Popen(java("KafkaClient", address), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def ask(self, what, **fields):
        self.process.stdin.write(json.dumps({"do": what, **fields}) + "\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise ServiceFailed("the Kafka client ended")
            answer = json.loads(line)
            if "error" in answer:
                raise ServiceFailed(f"Kafka client, {what}: {answer['error']}")
            if "end" in answer:
                return
            yield answer

    def create_topic(self, name, partitions=1, **settings):
        configs = {key.replace("_", "."): str(value) for key, value in settings.items()}
        list(self.ask("create", topic=name, partitions=partitions, configs=configs))

    def delete_topic(self, name):
        list(self.ask("delete", topic=name))

    def configure_topic(self, name, **settings):
        configs = {key.replace("_", "."): str(value) for key, value in settings.items()}
        list(self.ask("configure", topic=name, configs=configs))

    def topics(self):
        return {answer["topic"] for answer in self.ask("topics")}

    def produce(self, topic, key, value, **headers):
        def coded(data):
            return base64.b64encode(data).decode()
        list(self.ask("produce", topic=topic, key=coded(key), value=coded(value),
                      headers={name: coded(data) for name, data in headers.items()}))

    def consume(self, *topics):
        """All that is there now, of each partition in its order."""
        return list(self.messages(*topics))

    def messages(self, *topics):
        def plain(text):
            return None if text is None else base64.b64decode(text)
        for answer in self.ask("consume", topics=list(topics)):
            yield Message(answer["topic"], answer["partition"], answer["offset"],
                          plain(answer["key"]), plain(answer["value"]),
                          {name: plain(data) for name, data in answer["headers"].items()})

    def count(self, *topics):
        """How many messages are there, without reading them."""
        return sum(answer["count"] for answer in self.ask("count", topics=list(topics)))

    def group_offsets(self, group):
        """What a consumer group has committed: {(topic, partition): offset}."""
        return {(answer["topic"], answer["partition"]): answer["offset"]
                for answer in self.ask("group", group=group)}
