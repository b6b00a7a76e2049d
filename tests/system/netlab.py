"""A lab of hosts on one machine: network namespaces with addresses of their own, and faults on the wires between them.

    lab = Lab(bench, "server-0", "server-1", "agent-0")
    first = lab["server-0"].server().start()        # on the default ports: each host has its own
    lab.cut("server-1")                             # from everyone; also lose(), delay(), unplug(), throttle()
    lab.heal()

Each host has an eth0 at a bridge in a namespace of its own. Its address, 192.0.2.10 onwards, is one of documentation's and
exists nowhere else: labs of many tests stand side by side. Nothing stays behind: a namespace has no name, only an open file
of this process holds it, and what runs in it dies with the thread that started it (PR_SET_PDEATHSIG).

Losses are nftables rules of the bridge. A delay is a process that holds frames back: not every kernel has netem.
Needs root, iproute2 and nftables; where namespaces may not be made a test is skipped.
"""
import collections
import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time

from harness import BIN, Server, Skip, check, etcd_versions

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
ELSEWHERE = "*"  # every other host


def enter(namespace):
    """Moves the calling thread, and what it starts from now on, into a network namespace."""
    if LIBC.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def here():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def die_with_parent():
    """For a child before exec: it is killed when the thread that started it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Namespace:
    """A network namespace; it lives until close() and until the last process in it has ended."""

    def __init__(self):
        before = here()
        try:
            if LIBC.unshare(CLONE_NEWNET) != 0:
                raise Skip(f"network namespaces cannot be made here: {os.strerror(ctypes.get_errno())}")
            self.file = here()
            enter(before)
        finally:
            os.close(before)
        self.path = f"/proc/{os.getpid()}/fd/{self.file}"  # as iproute2 takes it
        self.command("ip", "link", "set", "lo", "up")

    def close(self):
        os.close(self.file)

    @contextlib.contextmanager
    def inside(self):
        """Sockets and processes that the calling thread makes meanwhile are of this namespace."""
        before = here()
        try:
            enter(self.file)
            yield
        finally:
            enter(before)
            os.close(before)

    def command(self, *argv, text=None):
        with self.inside():
            done = subprocess.run(argv, input=text, capture_output=True, text=True)
        check(done.returncode == 0, *argv, "failed:", done.stderr, text or "")
        return done.stdout


class Host(Namespace):
    """One host; and as much of a Bench as a Server needs, so that what it runs, runs here."""

    def __init__(self, bench, name, number):
        super().__init__()
        self.bench, self.name = bench, name
        self.dir, self.port = bench.dir, bench.port
        self.address = f"192.0.2.{10 + number}"
        self.mac = f"02:00:00:00:00:{number:02x}"
        self.wire = f"wire{number}"  # where its eth0 comes out, in the switch

    def run(self, *argv, **options):
        with self.inside():
            return self.bench.run(*argv, **options)

    def spawn(self, argv, log, **options):
        with self.inside():
            return self.bench.spawn(argv, log, preexec_fn=die_with_parent, **options)

    def server(self, **options):
        return HostServer(self, **options)

    def connect(self, address, port, timeout=30):
        """A TCP connection from here."""
        with self.inside():
            return socket.create_connection((address, port), timeout=timeout)


class HostServer(Server):
    """A holdfast server of a host of the lab, on the default ports and the host's address."""

    # Some members elect one of them: a second without a leader is enough on one machine, also a loaded one.
    PACE = ["--etcd-arg=heartbeat-interval=100", "--etcd-arg=election-timeout=1000",
            "--etcd-arg=enable-grpc-gateway=true", "--etcd-arg=listen-client-http-urls="]  # on the client port, for cluster.Writer

    def __init__(self, host, etcd_dir=None, program=BIN, distribution="holdfast"):
        self.host, self.bench, self.name, self.program = host, host, host.name, program
        self.prefix = distribution.upper() + "_"
        self.data_dir = host.dir / host.name
        self.etcd_dir = etcd_dir or etcd_versions()[0]
        self.supervisor_port, self.client_port = 9345, 2379
        self.log = host.dir / f"{host.name}.log"
        self.process = None
        self.flags = []  # of every start

    @property
    def url(self):
        return f"https://{self.host.address}:{self.supervisor_port}"

    def server_args(self, *flags):
        return [self.program, "server", f"--node-ip={self.host.address}", f"--node-name={self.name}",
                f"--etcd-binary={self.etcd_dir / 'etcd'}", *self.PACE, *self.flags, *flags]

    def request(self, *argv, **options):
        with self.host.inside():
            return super().request(*argv, **options)


class Lab:
    """Hosts by name, and the switch between them. A host is called by its name or by itself."""

    def __init__(self, bench, *names):
        if os.geteuid() != 0:
            raise Skip("network namespaces need root")
        self.bench = bench
        self.losses = {}     # (from MAC, to MAC) -> percent
        self.unplugged = set()
        self.delays = {}     # Host -> the process that delays its frames
        self.switch = Namespace()
        bench.stack.callback(self.switch.close)
        self.switch.command("ip", "link", "add", "br0", "up", "type", "bridge")
        self.hosts = {}
        for number, name in enumerate(names):
            self.add(name, number)

    def add(self, name, number=None):
        """One more host."""
        number = len(self.hosts) if number is None else number
        host = Host(self.bench, name, number)
        self.bench.stack.callback(host.close)
        self.switch.command("ip", "link", "add", host.wire, "type", "veth", "peer", "name", "eth0", "address", host.mac, "netns",
                            host.path)
        self.switch.command("ip", "link", "set", host.wire, "master", "br0", "up")
        host.command("ip", "link", "set", "eth0", "up")
        self.hosts[name] = host
        self.give_address(host, host.address)
        for other in self.hosts.values():
            if other is not host:
                self._introduce(host, other)
        return host

    def __getitem__(self, name):
        return name if isinstance(name, Host) else self.hosts[name]

    def give_address(self, host, address):
        """A new address instead of the one it has, known to all others at once."""
        host = self[host]
        host.command("ip", "addr", "flush", "dev", "eth0")
        host.address = address
        host.command("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        for other in self.hosts.values():
            if other is not host:
                self._introduce(other, host)

    @staticmethod
    def _introduce(host, other):
        # A fixed neighbour: who is cut off is silent, as behind a router, and back the moment the wire heals.
        host.command("ip", "neigh", "replace", other.address, "lladdr", other.mac, "dev", "eth0", "nud", "permanent")

    # --- faults, until heal() ---

    def cut(self, a, b=ELSEWHERE):
        """Nothing passes between them, and nobody is told."""
        self.lose(100, a, b)

    def lose(self, percent, a, b=ELSEWHERE):
        """So many frames between them are lost, each way."""
        a = self[a]
        for other in self.hosts.values() if b == ELSEWHERE else [self[b]]:
            self.losses[a.mac, other.mac] = self.losses[other.mac, a.mac] = percent
        self._apply_losses()

    def unplug(self, a):
        """The host's cable is pulled: it sees that."""
        self.switch.command("ip", "link", "set", self[a].wire, "down")
        self.unplugged.add(self[a])

    def delay(self, ms, a):
        """Each frame from and to the host takes so much longer: a round trip twice as much."""
        host, line = self[a], f"line-{self[a].wire}"
        check(host not in self.delays, host.name, "has a delay already")
        self.switch.command("ip", "link", "set", host.wire, "nomaster")
        self.switch.command("ip", "link", "add", line, "up", "type", "veth", "peer", "name", f"{line}-br")
        self.switch.command("ip", "link", "set", f"{line}-br", "master", "br0", "up")
        with self.switch.inside():
            process = subprocess.Popen([sys.executable, "-B", __file__, host.wire, line, str(ms)], stdout=subprocess.PIPE,
                                       preexec_fn=die_with_parent)
        self.bench.stack.callback(process.kill)
        self.delays[host] = process
        check(process.stdout.readline() == b"ready\n", "the process that delays does not start")

    def throttle(self, kbit, a):
        """The host sends no faster."""
        self[a].command("tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", f"{kbit}kbit", "burst", "64kb", "latency",
                        "400ms")

    def heal(self):
        self.losses.clear()
        self._apply_losses()
        for host in self.unplugged:
            self.switch.command("ip", "link", "set", host.wire, "up")
        self.unplugged.clear()
        for host, process in self.delays.items():
            process.kill()
            process.communicate()
            self.switch.command("ip", "link", "del", f"line-{host.wire}")
            self.switch.command("ip", "link", "set", host.wire, "master", "br0")
        self.delays.clear()
        for host in self.hosts.values():
            if "tbf" in host.command("tc", "qdisc", "show", "dev", "eth0"):
                host.command("tc", "qdisc", "del", "dev", "eth0", "root")

    def _apply_losses(self):
        rules = "".join(f"ether saddr {a} ether daddr {b} " + ("" if percent == 100 else f"numgen random mod 100 < {percent} ")
                        + "drop\n" for (a, b), percent in self.losses.items() if a != b)
        self.switch.command("nft", "-f", "-", text=f"""
            table bridge lab
            delete table bridge lab
            table bridge lab {{
              chain wires {{
                type filter hook forward priority 0
                {rules}
              }}
            }}""")


# --- the process that delays ---

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE = 263, 15, 23, 33
ETH_P_ALL = 3
FRAME_BYTES_MAX = 70_000  # segmentation is left to the "hardware": frames are up to 64 KiB and the header that says so


def tap(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    s.bind((interface, 0))
    s.setblocking(False)
    return s


def delay_line(left, right, seconds):
    """Carries frames between two interfaces, each `seconds` late."""
    ends = [tap(left), tap(right)]
    waiting = collections.deque()  # (when, to, frame)
    print("ready", flush=True)
    while True:
        wait = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select(ends, [], [], wait)[0]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame = end.recv(FRAME_BYTES_MAX)
                    waiting.append((time.monotonic() + seconds, ends[1 - ends.index(end)], frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, to, frame = waiting.popleft()
            with contextlib.suppress(OSError):  # a wire that is full or gone loses it
                to.send(frame)


if __name__ == "__main__":
    delay_line(sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1000)
