"""What the comparisons share: one run of a command (wall, CPU, peak memory), rounds in turns, and tables in Markdown."""
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

QUIET_PATIENCE = 20
TICK = os.sysconf("SC_CLK_TCK")


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    return "%d x %s, Linux %s, load %.2f" % (os.cpu_count(), cpu, os.uname().release, os.getloadavg()[0])


class Run:
    """What one run of a tool cost."""

    def __init__(self, wall, cpu, rss_mib):
        self.wall, self.cpu, self.rss_mib = wall, cpu, rss_mib


def idle_share(seconds):
    """How much of the CPUs nobody used during this time."""
    def idle():
        fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()
        return (int(fields[4]) + int(fields[5])) / TICK
    before = idle()
    time.sleep(seconds)
    return (idle() - before) / seconds / os.cpu_count()


class Quiet:
    """Waits until nobody else uses the machine, but not for ever; counts how often that did not help."""
    waits, disturbed = 0, 0

    @classmethod
    def settle(cls):
        os.sync()  # what an earlier run left to write is not for the next one to pay
        end = time.monotonic() + QUIET_PATIENCE
        cls.waits += 1
        while idle_share(0.3) < 0.9:
            if time.monotonic() > end:
                cls.disturbed += 1
                return


def measure(argv, env=None):
    """Runs a command to its end. /usr/bin/time stands between, because a child begins with its parent's peak memory."""
    Quiet.settle()
    with tempfile.NamedTemporaryFile("r") as report:
        start = time.perf_counter()
        process = subprocess.Popen(["/usr/bin/time", "-q", "-f", "%M", "-o", report.name, *map(str, argv)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**(env or os.environ), "ETCDCTL_API": "3"})
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit("failed: %s\n%s" % (" ".join(map(str, argv)), errors.decode()))
        return Run(wall, usage.ru_utime + usage.ru_stime, int(report.read()) / 1024)


class Watched:
    """CPU (also of the children that ended meanwhile) and peak memory of a running process while a block runs."""

    def __init__(self, pid, children=False):
        self.pid, self.fields = pid, (11, 12, 13, 14) if children else (11, 12)

    def cpu(self):
        fields = pathlib.Path("/proc/%d/stat" % self.pid).read_text().rsplit(")", 1)[1].split()
        return sum(int(fields[i]) for i in self.fields) / TICK

    def __enter__(self):
        pathlib.Path("/proc/%d/clear_refs" % self.pid).write_text("5")  # the peak begins anew
        self.before = self.cpu()
        return self

    def __exit__(self, *_):
        self.spent = self.cpu() - self.before
        self.peak_mib = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/%d/status" % self.pid).read_text())[1]) / 1024


def rounds_of(tools, rounds, clean):
    """Runs (name, function) in turns; returns name -> list of runs."""
    results = {name: [] for name, _ in tools}
    for i in range(rounds):
        for name, run in (tools if i % 2 == 0 else reversed(tools)):
            results[name].append(run())
            clean()
    return results


class Table:
    def __init__(self, title, megabytes):
        self.megabytes = megabytes
        print("\n### %s\n" % title)
        print("| | min s | median s | MB/s | CPU s | peak RSS MiB |\n|---|---|---|---|---|---|", flush=True)

    def add(self, name, runs):
        best = min(r.wall for r in runs)
        print("| %s | %.3f | %.3f | %.0f | %.2f | %.0f |" % (
            name, best, statistics.median(r.wall for r in runs), self.megabytes / best, min(r.cpu for r in runs),
            max(r.rss_mib for r in runs)), flush=True)

    def add_all(self, results):
        for name, runs in results.items():
            self.add(name, runs)


def ratio(what, runs, peer_name, peer, goal):
    print("- %s: **%.2f** of %s (median %.2f; goal %s)" % (
        what, min(r.wall for r in runs) / min(r.wall for r in peer), peer_name,
        statistics.median(r.wall for r in runs) / statistics.median(r.wall for r in peer), goal), flush=True)
