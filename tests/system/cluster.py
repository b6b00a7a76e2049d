"""A cluster in the lab: servers that join the first one, agents, and a writer that remembers what was acknowledged."""
import base64
import http.client
import json
import re
import signal
import ssl
import threading

from harness import BIN, check, equal, wait_for
from netlab import Lab

# A fault and what it leads to take elections, leases (40 s) and the fence's interval (30 s).
PATIENCE = 150


class Cluster:
    """`servers` servers that make one cluster, and `agents` agents of it, each on a host of its own. `options` are a server's."""

    def __init__(self, bench, servers=3, agents=0, **options):
        names = [f"server-{i}" for i in range(servers)] + [f"agent-{i}" for i in range(agents)]
        self.bench, self.lab = bench, Lab(bench, *names)
        self.servers = [self.lab[name].server(**options) for name in names[:servers]]
        self.agents = [Agent(self, self.lab[name]) for name in names[servers:]]

    @property
    def first(self):
        return self.servers[0]

    def start(self):
        """One after the other: the first makes the cluster, the others join it."""
        self.first.start()
        for server in self.servers[1:]:
            self.join(server)
        for agent in self.agents:
            agent.start()
        for agent in self.agents:  # it asks every few seconds: one that knows a single server yet is lost with that one
            agent.wait_backends(*self.servers)
        return self

    def join_flags(self, to=None):
        to = to or self.first
        return [f"--server={to.url}", f"--token={self.first.token}"]

    def launch_join(self, server, to=None):
        """As a configuration file would, it keeps the flags for the starts that follow."""
        server.flags = self.join_flags(to)
        return server.launch()

    def join(self, server, to=None):
        self.launch_join(server, to)
        return self.wait_joined(server)

    def wait_joined(self, *servers):
        for server in servers:
            server.wait_ready()
        for server in servers:
            wait_for(lambda: is_voter(server), f"{server.name} to be a voter", PATIENCE)
        return servers[0]

    def stop(self):
        for agent in self.agents:
            agent.stop()
        for server in self.servers:
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGTERM)
        for server in self.servers:
            server.process.wait(PATIENCE)

    def start_again(self, *servers):
        """All at once, as after a power cut."""
        for server in servers or self.servers:
            server.launch()
        self.wait_joined(*(servers or self.servers))

    def leader(self, among=None):
        """The server that leads, seen by one of `among`; None if there is none."""
        for server in among or self.servers:
            status = status_of(server)
            for other in self.servers:
                if status and status.get("leader") and status["leader"] == member_id(other):
                    return other
        return None

    def wait_leader(self, among=None):
        return wait_for(lambda: self.leader(among), "a leader", PATIENCE)

    def check_equal(self):
        """Every member holds the same: one hash at one revision."""
        revision = wait_for(self._common_revision, "all members to be at one revision", PATIENCE)
        equal({server.name: server.hash_kv(revision) for server in self.servers},
              {server.name: self.first.hash_kv(revision) for server in self.servers}, "HashKV at revision", revision)

    def _common_revision(self):
        statuses = [status_of(server) for server in self.servers]
        revisions = {status and status["header"]["revision"] for status in statuses}
        return len(revisions) == 1 and revisions.pop()

    # Nodes, as `holdfast node ls` prints them.

    def nodes(self, seen_from=None):
        """name -> "Ready" or "NotReady"; empty if nobody tells."""
        result = (seen_from or self.first).holdfast("node", "ls")
        found = {}
        for line in result.out.splitlines():
            state = re.search(r"\b(NotReady|Ready)\b", line)
            if state:
                found[line.split()[0]] = state.group(1)
        return found

    def wait_nodes(self, expected, seen_from=None):
        seen = {}

        def as_expected():
            nonlocal seen
            seen = self.nodes(seen_from)
            return seen == expected
        try:
            wait_for(as_expected, f"node ls to say {expected}", PATIENCE)
        except AssertionError:
            equal(seen, expected, "node ls")

    def wait_all_ready(self, seen_from=None):
        self.wait_nodes({node.name: "Ready" for node in self.servers + self.agents}, seen_from)


def status_of(server):
    """What its etcd says of itself; None if it says nothing."""
    result = server.try_etcdctl("endpoint", "status", "-w", "json", "--command-timeout=3s")
    return json.loads(result.out)[0]["Status"] if result.code == 0 and result.out.strip() not in ("", "null") else None


def member_id(server):
    status = status_of(server)
    return status and status["header"]["member_id"]


def members(server):
    """Node name -> member, as etcd lists them. A member's name is the node's and eight hexadecimal digits."""
    result = server.try_etcdctl("member", "list", "-w", "json", "--command-timeout=3s")
    if result.code != 0:
        return {}
    return {m.get("name", "")[:-9]: m for m in json.loads(result.out)["members"]}


def members_now(server):
    """As the cluster has them: what one member knows may be a moment old, or it is too busy to tell."""
    server.etcdctl("get", "x")  # through the leader: after it the member knows what was done before
    return wait_for(lambda: members(server), f"the members that {server.name} knows")


def is_voter(server):
    member = members(server).get(server.name)
    return member is not None and not member.get("isLearner")


def cluster_id(server):
    return status_of(server)["header"]["cluster_id"]


class Agent:
    """`holdfast agent` on a host of the lab."""

    def __init__(self, cluster, host):
        self.cluster, self.host, self.name, self.etcd_dir = cluster, host, host.name, cluster.first.etcd_dir
        self.data_dir = host.dir / host.name
        self.log = host.dir / f"{host.name}.log"
        self.process = None

    def launch(self, to=None, token=None):
        to = to or self.cluster.first
        self.process = self.host.spawn(
            [BIN, "agent", f"--server={to.url}", f"--token={token or self.cluster.first.token}", f"--node-name={self.name}",
             f"--node-ip={self.host.address}"], self.log.name,
            env={"HOLDFAST_DATA_DIR": str(self.data_dir), "HOLDFAST_CONFIG_FILE": str(self.host.dir / "no-config.yaml")})
        return self

    def start(self, **options):
        return self.launch(**options).wait_ready()

    def wait_ready(self):
        def ready():
            check(self.process.poll() is None, "the agent ended with", self.process.returncode)
            return self.try_etcdctl("get", "x").code == 0
        wait_for(ready, f"{self.name} to reach etcd", PATIENCE)
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            equal(self.process.wait(PATIENCE), 0, "exit code of the agent")

    @property
    def tls(self):
        """(CA, certificate, key) for its applications."""
        directory = self.data_dir / "agent/tls"
        return directory / "etcd-server-ca.crt", directory / "client.crt", directory / "client.key"

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def backends(self):
        """Addresses of the servers its load balancer has, one list for each change, the last one at the end."""
        return [re.findall(r"([\d.]+):2379", line) for line in re.findall("Load balancer: servers are (.*)", self.log_text())]

    def wait_backends(self, *servers):
        expected = [server.host.address for server in servers]
        wait_for(lambda: sorted((self.backends() or [[]])[-1]) == sorted(expected), f"the backends of {self.name} to be {expected}",
                 PATIENCE)

    def try_etcdctl(self, *argv, timeout="5s"):
        ca, certificate, key = self.tls
        return self.host.run(self.etcd_dir / "etcdctl", "--endpoints", "https://127.0.0.1:2379", "--cacert", ca, "--cert",
                             certificate, "--key", key, f"--command-timeout={timeout}", *argv)

    def etcdctl(self, *argv):
        """Again until it succeeds: connections that were cut are the application's to repeat."""
        return wait_for(lambda: (lambda r: r if r.code == 0 else None)(self.try_etcdctl(*argv)), f"etcdctl {argv} on {self.name}",
                        PATIENCE).out


def server_tls(server):
    directory = server.data_dir / "server/tls/etcd"
    return directory / "server-ca.crt", directory / "client.crt", directory / "client.key"


def writer_to_all(cluster):
    """A client that knows all servers, on a host of its own."""
    host = cluster.lab.add("client")
    return Writer(host, [(server.host.address, 2379) for server in cluster.servers], server_tls(cluster.first))


def kill_leaders(cluster, writer, times):
    """One leader after the other dies and returns, and the writer goes on each time."""
    for _ in range(times):
        writer.wait_progress()
        leader = cluster.wait_leader()
        leader.kill()
        others = [server for server in cluster.servers if server is not leader]
        wait_for(lambda: cluster.leader(others) not in (None, leader), "another leader", PATIENCE)
        writer.wait_progress()
        leader.start()


class Writer:
    """Puts one new key after the other through etcd's JSON gateway and remembers which were acknowledged.

    One that was not acknowledged may be there or not; it is not written again. `endpoints` are (address, port), taken in turn
    when one fails."""

    PUT_TIMEOUT = 5

    def __init__(self, host, endpoints, tls, prefix="/writer/"):
        self.host, self.endpoints, self.prefix = host, endpoints, prefix
        ca, certificate, key = tls
        self.context = ssl.create_default_context(cafile=ca)
        self.context.load_cert_chain(certificate, key)
        self.acknowledged, self.failed = [], 0
        self._connection, self._stop = None, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        number = 0
        while not self._stop.is_set():
            key = f"{self.prefix}{number:07}"
            if self._put(key):
                self.acknowledged.append(key)
            else:
                self.failed += 1
                self._stop.wait(0.1)  # an application waits before it tries again
            number += 1

    def _put(self, key):
        try:
            if self._connection is None:
                address, port = self.endpoints[0]
                self._connection = http.client.HTTPSConnection(address, port, timeout=self.PUT_TIMEOUT, context=self.context)
                with self.host.inside():
                    self._connection.connect()
            body = json.dumps({name: base64.b64encode(key.encode()).decode() for name in ("key", "value")})
            self._connection.request("POST", "/v3/kv/put", body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            text = answer.read()
            if answer.status == 200 and b"revision" in text:
                return True
        except (OSError, http.client.HTTPException):
            pass
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self.endpoints = self.endpoints[1:] + self.endpoints[:1]
        return False

    def wait_progress(self, keys=5):
        """More keys are acknowledged from now on."""
        enough = len(self.acknowledged) + keys
        wait_for(lambda: len(self.acknowledged) >= enough, f"{keys} more acknowledged keys", PATIENCE)

    def stop(self):
        self._stop.set()
        self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def check_nothing_lost(self, server):
        """Every acknowledged key is there, with its value."""
        answer = json.loads(server.etcdctl("get", self.prefix, "--prefix", "-w", "json"))
        there = {kv["key"]: kv["value"] for kv in answer.get("kvs", [])}
        encoded = [base64.b64encode(key.encode()).decode() for key in self.acknowledged]
        lost = [key for key, code in zip(self.acknowledged, encoded) if there.get(code) != code]
        check(self.acknowledged, "nothing was acknowledged at all")
        equal(lost, [], "lost of", len(self.acknowledged), "acknowledged keys, seen by", server.name)
