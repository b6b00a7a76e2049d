"""What an installation is made of: the unit, what systemd is told, the install script, the manual page."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from harness import BIN, TOP, Skip, check, contains, equal, wait_for
from probe import mode

UNITS = "holdfast-server.service", "holdfast-agent.service"


def install(bench, destdir, *flags, **env):
    return bench.run(TOP / "packaging/install", *flags, env={"DESTDIR": str(destdir), "PROGRAM": BIN, **env})


def everything(directory):
    return {str(p.relative_to(directory)): (mode(p), "" if p.is_dir() else p.read_bytes()) for p in directory.rglob("*")}


class NotifySocket:
    """$NOTIFY_SOCKET as systemd makes it; `name` is a path, or starts with @ for an abstract one."""

    def __init__(self, bench, name):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.setblocking(False)
        self.words = []
        bench.stack.callback(self.socket.close)

    def read(self):
        while True:
            try:
                self.words += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.words


def test_systemd_is_told_the_truth(bench):
    for name, args in ((str(bench.dir / "notify"), []), (f"@holdfast-test-{os.getpid()}", ["--debug"])):
        told = NotifySocket(bench, name)
        server = bench.server(f"data-{len(args)}").launch(*args, env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"})

        def ready():
            was_ready = server.get("/readyz")[0] == 200
            if "READY=1" in told.read():
                equal(server.get("/readyz")[0], 200, "told READY=1 before it was")
            return was_ready and "READY=1" in told.words
        wait_for(ready, "READY=1")
        equal(told.words.index("READY=1") > 0 and told.words[0], "STATUS=waiting for etcd")
        contains(" ".join(told.words), "STATUS=running")

        # Alive, at least twice as often as systemd expects it: ten of them within ten times the limit.
        start, count = time.monotonic(), told.read().count("WATCHDOG=1")
        wait_for(lambda: told.read().count("WATCHDOG=1") >= count + 10, "signs of life")
        check(time.monotonic() - start < 4, "ten signs of life took", time.monotonic() - start)

        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "STOPPING=1" in told.read(), "STOPPING=1")
        equal(server.process.wait(60), 0)
        words = told.read()
        # etcd knows the protocol too; it must not speak in our place.
        equal([w for w in words if w != "WATCHDOG=1"], ["STATUS=waiting for etcd", "READY=1", "STATUS=running", "STOPPING=1"])
        equal(words[-1], "STOPPING=1", "the end")


def test_a_socket_that_nobody_reads_holds_nothing_up(bench):
    told = NotifySocket(bench, str(bench.dir / "notify"))
    server = bench.server().start(env={"NOTIFY_SOCKET": told.name, "WATCHDOG_USEC": "2000"})  # fills up at once
    server.save()
    server.stop()
    server.start(env={"NOTIFY_SOCKET": str(bench.dir / "gone"), "WATCHDOG_USEC": "nonsense"})
    server.stop()
    server.start(env={"NOTIFY_SOCKET": "x" * 300})
    server.stop()


def test_the_units(bench):
    root = bench.dir / "root"
    equal(install(bench, root).code, 0)
    for name in UNITS:
        text = (root / "usr/local/lib/systemd/system" / name).read_text()
        role = re.fullmatch(r"holdfast-(\w+)\.service", name).group(1)
        for line in ("Type=notify", "NotifyAccess=main", f"ExecStart=/usr/local/bin/holdfast {role}", "Restart=always", "RestartSec=5s",
                     "RestartPreventExitStatus=2 4", "TimeoutStartSec=infinity", "LimitNOFILE=1048576",
                     f"EnvironmentFile=-/etc/default/holdfast-{role}", "After=network-online.target", "Wants=network-online.target",
                     "WantedBy=multi-user.target"):
            check(line in text.splitlines(), line, "not in", text)
        if shutil.which("systemd-analyze") is None:
            raise Skip("no systemd-analyze")
        # Outside the root verify looks for the program as it stands there.
        copy = bench.dir / name
        copy.write_text(text.replace("/usr/local/bin/holdfast", BIN))
        result = bench.run("systemd-analyze", "verify", "--man=no", copy)
        equal((result.code, [line for line in result.err.splitlines() if "holdfast" in line]), (0, []), result)
        result = bench.run("systemd-analyze", "security", "--offline=true", "--threshold=50", copy)
        equal(result.code, 0, result.out[-1500:])


STRACE = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=!futex,read,write,epoll_pwait", "-o"]


def check_allowed(bench, unit, trace):
    """What the trace has is what the unit allows."""
    text, trace = (TOP / "packaging" / unit).read_text(), trace.read_text()
    [groups] = re.findall(r"^SystemCallFilter=(.*)$", text, re.M)
    allowed, todo = set(), groups.split()
    while todo:
        group = todo.pop()
        if not group.startswith("@"):
            allowed.add(group)
            continue
        lines = bench.ok("systemd-analyze", "syscall-filter", group).out.splitlines()[1:]
        todo += [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    used = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", trace, re.M))
    check(len(used) > 30, "the trace is too short", used)
    equal(used - allowed - {"exit_group"}, set(), "system calls that", unit, "forbids")
    families = set(re.findall(r"^\d+ +socket\((AF_\w+)", trace, re.M))
    [may] = re.findall(r"^RestrictAddressFamilies=(.*)$", text, re.M)
    equal(families - set(may.split()), set(), "address families that", unit, "forbids")
    check(not re.search(r"PROT_WRITE\|PROT_EXEC", trace), "memory that can be written and executed")


def stop_traced(bench, tracer):
    [pid] = [int(p) for p in bench.run("pgrep", "-P", str(tracer.pid)).out.split()]
    os.kill(pid, signal.SIGTERM)
    equal(tracer.wait(90), 0)


def test_the_units_sandboxes_allow_what_server_and_agent_do(bench):
    if shutil.which("strace") is None or bench.run("strace", "-o", "/dev/null", "true").code != 0:
        raise Skip("strace does not work here")
    trace = bench.dir / "trace"
    server = bench.server()
    args = server.server_args
    server.server_args = lambda *flags: [*STRACE, str(trace), *args(*flags)]
    server.start("--etcd-expose-metrics", "--etcd-snapshot-schedule-cron=@every 1s")
    server.fill(5)
    for flag in "--snapshot-compress", "--etcd-snapshot-compression=zstd":  # a scheduled one may be under way
        wait_for(lambda: server.snapshot("save", flag).code == 0, "a save with " + flag)
    wait_for(lambda: any(n.startswith("etcd-snapshot-") for n in server.names()), "a scheduled snapshot")

    agent_trace, port, data = bench.dir / "agent-trace", bench.port(), bench.dir / "agent"
    agent = bench.spawn([*STRACE, agent_trace, BIN, "agent", f"--server=https://127.0.0.1:{server.supervisor_port}",
                         f"--token={server.token}", "--node-name=a", "--node-ip=127.0.0.1", f"--etcd-client-port={port}"], "agent.log",
                        env={"HOLDFAST_DATA_DIR": str(data), "HOLDFAST_CONFIG_FILE": "/nowhere"})
    tls = data / "agent/tls"
    wait_for(lambda: bench.run(server.etcd_dir / "etcdctl", "--endpoints", f"https://127.0.0.1:{port}", "--cacert",
                               tls / "etcd-server-ca.crt", "--cert", tls / "client.crt", "--key", tls / "client.key", "get",
                               "x").code == 0, "the agent to pass connections on")
    stop_traced(bench, agent)
    stop_traced(bench, server.process)
    check_allowed(bench, UNITS[0], trace)
    check_allowed(bench, UNITS[1], agent_trace)


def test_install_and_uninstall(bench):
    for prefix in ("/usr/local", "/opt/holdfast"):
        root = bench.dir / prefix.strip("/").replace("/", "-")
        # A strict umask must not leave a program that nobody can run.
        result = bench.run("sh", "-c", f"umask 077; exec {TOP}/packaging/install",
                           env={"DESTDIR": str(root), "PROGRAM": BIN, "PREFIX": prefix})
        equal(result.code, 0, result)
        unit_dir = root / (f"{prefix}/lib/systemd/system" if prefix == "/usr/local" else "/etc/systemd/system").strip("/")
        unit, agent_unit = (unit_dir / name for name in UNITS)
        program = root / prefix.strip("/") / "bin/holdfast"
        manual = root / prefix.strip("/") / "share/man/man8/holdfast.8"
        config = root / "etc/holdfast/config.yaml"
        for path, expected in ((program, "0o755"), (manual, "0o644"), (unit, "0o644"), (agent_unit, "0o644"), (config.parent, "0o700"), (config, "0o600"),
                               (program.parent, "0o755"), (unit.parent, "0o755")):
            equal(mode(path), expected, path)
        contains(unit.read_text(), f"ExecStart={prefix}/bin/holdfast server\n")
        contains(agent_unit.read_text(), f"ExecStart={prefix}/bin/holdfast agent\n")
        equal(program.read_bytes(), pathlib.Path(BIN).read_bytes())
        contains(bench.ok(program, "version").out, "holdfast version")
        # The sample says nothing that is not the default, and everything in it is known.
        equal([line for line in config.read_text().splitlines() if line and not line.startswith("#")], [])
        commented = bench.dir / "commented.yaml"
        commented.write_text(re.sub(r"^# ([a-z0-9-]+:)", r"\1", config.read_text(), flags=re.M))
        result = bench.run(BIN, "server", f"--config={commented}", f"--data-dir={bench.dir}/x", "--etcd-binary=/nowhere")
        contains(result.err, "execute /nowhere")

        state = everything(root)
        config.write_text("token: mine\n")
        config.chmod(0o640)
        equal(install(bench, root, PREFIX=prefix).code, 0)
        equal((config.read_text(), mode(config)), ("token: mine\n", "0o640"), "the configuration is the user's")
        again = everything(root)
        equal({k: v for k, v in again.items() if k != "etc/holdfast/config.yaml"},
              {k: v for k, v in state.items() if k != "etc/holdfast/config.yaml"}, "a second installation")
        data = root / "var/lib/holdfast/server"
        data.mkdir(parents=True)
        result = install(bench, root, "--uninstall", PREFIX=prefix)
        equal(result.code, 0, result)
        contains(result.out, "are still there")
        equal([p.exists() for p in (program, manual, unit, agent_unit, config, data)], [False, False, False, False, True, True])
        equal(install(bench, root, "--uninstall", PREFIX=prefix).code, 0, "twice")

    for flags, env, words in ((["--nonsense"], {}, "unknown argument --nonsense"), ([], {"PROGRAM": "/nowhere"}, "build it first")):
        result = install(bench, bench.dir / "none", *flags, **env)
        check(result.code != 0 and words in result.err, result)
    check(not (bench.dir / "none").exists(), "something was installed")
    contains(install(bench, "", "--help").out, "usage: packaging/install [--uninstall]")


def test_a_running_program_can_be_replaced(bench):
    root = bench.dir / "root"
    equal(install(bench, root).code, 0)
    server = bench.server(program=root / "usr/local/bin/holdfast").start()
    equal(install(bench, root).code, 0)
    equal(server.get("/readyz")[0], 200)
    server.save()
    server.stop()


def test_the_runtime_packages_are_those_of_the_program(bench):
    if shutil.which("dpkg-query") is None or shutil.which("objdump") is None:
        raise Skip("not Debian")
    listed = {line for line in (TOP / "packaging/runtime-packages.txt").read_text().splitlines() if line and not line.startswith("#")}
    cache = dict(re.findall(r"^\t(\S+) => (\S+) ", bench.ok("ldd", BIN).out, re.M))
    needed = set()
    for library in re.findall(r"NEEDED +(\S+)", bench.ok("objdump", "-p", BIN).out):
        if library.startswith(("libc.", "libm.", "ld-linux", "libgcc_s", "libasan", "libubsan", "libtsan")):
            continue  # always there, or of a build for tests
        paths = [cache[library], os.path.realpath(cache[library]), os.path.realpath(cache[library]).removeprefix("/usr")]
        owner = next(r for r in (bench.run("dpkg-query", "-S", p) for p in paths) if r.code == 0)
        needed.add(owner.out.split(":")[0])
    equal(needed, {p for p in listed if p.startswith("lib")})


def test_the_manual_page(bench):
    page = TOP / "docs/man/holdfast.8"
    equal(bench.ok(BIN, "man-page").out, page.read_text(), "docs/man/holdfast.8 is old; renew it with: holdfast man-page >docs/man/holdfast.8")
    if shutil.which("man"):
        result = bench.run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page, env={"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANROFFSEQ": ""})
        if "minimized" not in result.out:  # a system without manual pages has a man that only says so
            equal((result.code, result.err), (0, ""))
    if shutil.which("groff"):
        equal(bench.ok("groff", "-man", "-ww", "-z", "-Tutf8", page).err, "")
    check(all(ord(c) < 128 for c in page.read_text()), "characters beyond ASCII")
    check(not [line for line in page.read_text().splitlines() if line.startswith("'")], "lines that roff takes for requests")
