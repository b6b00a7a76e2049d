"""The lab of network namespaces that the tests of clusters stand on, with servers that know nothing of each other."""
import os
import socket
import subprocess
import sys
import time

from harness import PATIENCE, check, equal, wait_for
from netlab import Lab


def answers(host, server, timeout=2):
    """The supervisor of another host answers from here."""
    try:
        connection = host.connect(server.host.address, server.supervisor_port, timeout)
        connection.close()
        return True
    except OSError:
        return False


def test_three_servers_on_three_hosts_have_the_default_ports_each(bench):
    lab = Lab(bench, "server-0", "server-1", "server-2")
    servers = [lab[f"server-{i}"].server().launch() for i in range(3)]
    for server in servers:
        server.wait_ready()
        server.etcdctl("put", "who", server.name)
    equal([server.etcdctl("get", "who", "--print-value-only").strip() for server in servers],
          ["server-0", "server-1", "server-2"], "three clusters")
    equal(len({server.token for server in servers}), 3, "tokens")
    check(answers(lab["server-0"], servers[1]), "a server does not answer its neighbour")

    lab.cut("server-1")
    check(not answers(lab["server-0"], servers[1]), "a host that is cut off was reached")
    check(answers(lab["server-0"], servers[2]), "the others are cut off too")
    equal(servers[1].get("/readyz")[0], 200, "/readyz from the host itself")
    lab.heal()
    wait_for(lambda: answers(lab["server-0"], servers[1]), "the host to be back")
    for server in servers:
        server.stop()


def round_trip(lab, a, b, patience=1):
    """Seconds that a datagram takes there and back; None if it did not come."""
    with lab[b].inside():
        echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with lab[a].inside():
        caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with echo, caller:
        echo.bind((lab[b].address, 7))
        for s in echo, caller:
            s.settimeout(patience)
        begin = time.monotonic()
        caller.sendto(b"x", (lab[b].address, 7))
        try:
            echo.sendto(*echo.recvfrom(10))
            caller.recvfrom(10)
        except TimeoutError:
            return None
        return time.monotonic() - begin


def test_faults_hit_whom_they_should_until_they_are_healed(bench):
    lab = Lab(bench, "a", "b", "c")

    def reached():
        return "".join(x + y for x, y in ("ab", "ac", "bc") if round_trip(lab, x, y) is not None)

    everyone = "abacbc"
    wait_for(lambda: reached() == everyone, "the cables to be plugged in")  # the kernel tells the switch a moment later
    lab.cut("a", "b")
    equal(reached(), "acbc", "a and b cut")
    lab.cut("c")
    equal(reached(), "", "and c from everyone")
    lab.heal()
    equal(reached(), everyone, "healed")
    lab.unplug("c")
    equal(reached(), "ab", "c unplugged")
    lab.heal()
    wait_for(lambda: reached() == everyone, "the cable to be back")

    lab.lose(50, "a", "b")
    results = [round_trip(lab, "a", "b", 0.1) for _ in range(50)]
    check(0 < results.count(None) < 50, "half of the frames should be lost; round trips that failed:", results.count(None), "of 50")
    lab.heal()

    lab.delay(100, "a")
    check(round_trip(lab, "a", "b", PATIENCE) >= 0.2, "a's frames are delayed")
    check(round_trip(lab, "c", "a", PATIENCE) >= 0.2, "so are those to it")
    # What is not delayed is faster once, also where others keep the processors busy.
    wait_for(lambda: round_trip(lab, "b", "c", PATIENCE) < 0.2, "a round trip of other frames, which are not delayed")
    lab.heal()
    wait_for(lambda: (round_trip(lab, "a", "b") or 1) < 0.2, "the delay to be healed")


def test_a_delayed_host_gets_what_was_sent_whole(bench):
    lab = Lab(bench, "a", "b")
    lab.delay(20, "a")
    with lab["a"].inside():
        listener = socket.create_server((lab["a"].address, 1000))
    sender = lab["b"].connect(lab["a"].address, 1000)
    receiver, _ = listener.accept()
    sent, received = os.urandom(5_000_000), bytearray()
    sender.setblocking(False)
    at = 0
    while len(received) < len(sent):
        if at < len(sent):
            try:
                at += sender.send(sent[at:at + 100_000])
            except BlockingIOError:
                pass
        else:
            sender.shutdown(socket.SHUT_WR)
        receiver.settimeout(30)
        received += receiver.recv(1 << 20)
    check(bytes(received) == sent, "what arrived is not what was sent")


def test_nothing_outlives_a_test_that_is_killed(bench):
    script = bench.dir / "killed.py"
    script.write_text(f"""
import signal, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import harness, netlab
with harness.Bench() as bench:
    lab = netlab.Lab(bench, "a", "b")
    lab.delay(10, "a")
    host = lab["a"].spawn(["sleep", "1000"], "sleep.log")
    print(host.pid, lab.delays[lab["a"]].pid, flush=True)
    signal.pause()
""")
    process = subprocess.Popen([sys.executable, "-B", script], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    equal(len(pids), 2, "processes in the lab")
    process.kill()
    process.wait()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "what ran on the host to end")
