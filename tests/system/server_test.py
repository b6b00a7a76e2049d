"""`holdfast server`: what a start makes, what it refuses, how it keeps etcd alive, and how it ends."""
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

from harness import Server, Skip, check, contains, equal, etcd_versions, wait_for
from probe import StalledSave, fill_for_stall, log_lines, metrics, mode, parts

CAS = ["client-ca", "server-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"]
NEVER = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'etcd Version: 3.4.23' && exit 0\n"


def fake_etcd(bench, body, name="fake-etcd"):
    """A program that says it is etcd, and then does something else."""
    directory = bench.dir / name
    directory.mkdir()
    program = directory / "etcd"
    program.write_text(NEVER + body + "\n")
    program.chmod(0o755)
    return directory


def files(root):
    """Every file below a directory: mode, time, content. Without what etcd and the lock change by themselves."""
    out = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = pathlib.Path(directory) / name
            relative = str(path.relative_to(root))
            if relative.startswith("server/db/etcd/member") or relative == "server/lock":
                continue
            info = path.lstat()
            written = 0 if relative == "server/db/etcd/config" else info.st_mtime_ns  # made anew at each start
            content = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
            out[relative] = (oct(info.st_mode), written, content)
    return out


def check_layout(server):
    directories = ["server", "server/cred", "server/tls", "server/tls/etcd", "server/db", "server/db/etcd"]
    for name in directories:
        equal(mode(server.data_dir / name), "0o700", name)
    equal(mode(server.data_dir), "0o755", "the data directory, which a service account of others may have to pass")
    for path in server.server_dir.rglob("*"):
        name = str(path.relative_to(server.server_dir))
        if path.is_symlink():
            continue
        if path.is_dir():
            equal(mode(path), "0o700", name)
        else:
            equal(mode(path), "0o644" if name.endswith(".crt") else "0o600", name)
    expected = {"token", "node-token", "agent-token", "lock", "cred", "cred/passwd", "tls", "tls/etcd", "tls/service.key", "db",
                "db/etcd", "db/etcd/config", "db/etcd/name", "db/etcd/member"}
    for stem in CAS + ["supervisor", "etcd/server-client", "etcd/peer-server-client", "etcd/client"]:
        expected |= {f"tls/{stem}.crt", f"tls/{stem}.key"}
    found = {str(p.relative_to(server.server_dir)) for p in server.server_dir.rglob("*")}
    equal({n for n in found if not n.startswith(("db/etcd/member/", "db/snapshots", "db/.metadata"))}, expected, "what is in server/")


def test_an_empty_directory_becomes_a_server_whatever_the_umask(bench):
    for umask in (0o000, 0o077):
        server = bench.server(f"data-{umask:o}").start(umask=umask)
        check_layout(server)
        snapshot = server.save()
        for path, expected in ((server.snapshots, "0o700"), (server.db / ".metadata", "0o700"), (snapshot, "0o600"),
                               (server.db / ".metadata" / snapshot.name, "0o600")):
            equal(mode(path), expected, path)
        server.stop()


def test_certificates_and_tokens_of_a_new_server(bench):
    server = bench.server().start("--tls-san=backup.example.org", "--tls-san=10.11.12.13")
    tls = server.server_dir / "tls"

    def x509(stem, *what):
        return bench.ok("openssl", "x509", "-in", tls / f"{stem}.crt", "-noout", *what).out

    for ca, name in (("client-ca", "holdfast-client-ca@"), ("server-ca", "holdfast-server-ca@"), ("etcd/server-ca", "etcd-server-ca@"),
                     ("etcd/peer-ca", "etcd-peer-ca@"), ("request-header-ca", "holdfast-request-header-ca@")):
        contains(x509(ca, "-subject"), f"CN = {name}")
        contains(x509(ca, "-text"), "CA:TRUE")
        contains(x509(ca, "-text"), "ASN1 OID: prime256v1")
    for leaf, ca, name in (("supervisor", "server-ca", "supervisor"), ("etcd/server-client", "etcd/server-ca", "etcd-server"),
                           ("etcd/peer-server-client", "etcd/peer-ca", "etcd-peer"), ("etcd/client", "etcd/server-ca", "etcd-client")):
        contains(x509(leaf, "-subject"), f"CN = {name}")
        contains(bench.ok("openssl", "verify", "-CAfile", tls / f"{ca}.crt", tls / f"{leaf}.crt").out, "OK")
    for leaf in ("supervisor", "etcd/server-client", "etcd/peer-server-client"):
        sans = x509(leaf, "-ext", "subjectAltName")
        for san in ("DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1", "DNS:node-1", "DNS:backup.example.org",
                    "IP Address:10.11.12.13"):
            contains(sans, san)
    contains(bench.ok("openssl", "rsa", "-in", tls / "service.key", "-noout", "-check").out, "RSA key ok")

    # The supervisor's certificate is good for a strict client that has only the CA.
    bench.ok("curl", "-sS", "--fail", "--cacert", tls / "server-ca.crt", f"https://localhost:{server.supervisor_port}/ping")

    ca_hash = hashlib.sha256((tls / "server-ca.crt").read_bytes()).hexdigest()
    token = (server.server_dir / "token").read_text()
    equal(token, f"K10{ca_hash}::server:{server.password}\n")
    check(len(server.password) == 32 and int(server.password, 16) >= 0, "16 random bytes in hex", server.password)
    for link in ("node-token", "agent-token"):
        equal((server.server_dir / link).resolve(), (server.server_dir / "token").resolve(), link)
    rows = sorted((server.server_dir / "cred/passwd").read_text().split())
    equal(rows, sorted([f"{server.password},server,server,holdfast:server", f"{server.password},node,node,holdfast:agent"]))
    name = (server.db / "etcd/name").read_text()
    check(name.startswith("node-1-") and len(name) == len("node-1-") + 8 and not name.endswith("\n"), "member name", repr(name))
    server.stop()


def test_a_second_start_changes_nothing(bench):
    server = bench.server()
    flags = ["--agent-token=agents-only", "--tls-san=a.example.org"]
    server.start(*flags).fill(5)
    before, password = server.dump(), server.password
    server.stop()
    state = files(server.data_dir)
    # Three starts: with the flags as they were, and with the token given in both forms.
    for more in ([], [f"--token={server.token}"], [f"--token={password}"]):
        server.start(*flags, *more)
        equal(server.dump(), before)
        server.stop()
        equal(files(server.data_dir), state, "files after another start with", more)


def test_deleted_certificates_come_back_identical(bench):
    server = bench.server().start()
    server.stop()
    tls = server.server_dir / "tls"
    wanted = {p: p.read_bytes() for stem in CAS for p in (tls / f"{stem}.crt", tls / f"{stem}.key")}
    wanted[tls / "service.key"] = (tls / "service.key").read_bytes()
    wanted[server.server_dir / "cred/passwd"] = (server.server_dir / "cred/passwd").read_bytes()
    for victims in ([tls], [tls / "etcd/peer-ca.crt"], [tls / "server-ca.key", tls / "server-ca.crt"], [server.server_dir / "cred"],
                    [tls / "supervisor.crt", tls / "etcd/client.key"]):
        for victim in victims:
            shutil.rmtree(victim) if victim.is_dir() else victim.unlink()
        server.start()
        for path, content in wanted.items():
            equal(path.read_bytes(), content, path)
            check(mode(path) == "0o600" or path.suffix == ".crt", path, mode(path))
        server.etcdctl("put", "/still", "works")
        server.stop()


def test_files_newer_than_the_datastore_are_refused(bench):
    server = bench.server().start()
    server.stop()
    ca = server.server_dir / "tls/client-ca.crt"
    stored, stored_time = ca.read_bytes(), ca.stat().st_mtime
    foreign = (server.server_dir / "tls/server-ca.crt").read_bytes()
    ca.write_bytes(foreign)
    os.utime(ca, (stored_time + 100, stored_time + 100))
    state = files(server.data_dir)
    result = bench.run(*server.server_args(), env=server.env)
    equal(result.code, 1, result)
    contains(result.err, f"{ca} newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be "
                         "recreated from datastore.")
    for moment in (stored_time, stored_time + 100):
        contains(result.err, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)))
    equal(files(server.data_dir), state, "nothing was touched")

    # The advice works; and a file that is older is simply replaced.
    ca.unlink()
    server.start().stop()
    equal(ca.read_bytes(), stored)
    ca.write_bytes(foreign)
    os.utime(ca, (stored_time - 100, stored_time - 100))
    server.start().stop()
    equal(ca.read_bytes(), stored)


def test_tokens(bench):
    server = bench.server()
    for bad in ("abcdef.0123456789abcdef", "K10" + 64 * "a" + "::abcdef.0123456789abcdef"):
        result = bench.run(*server.server_args(f"--token={bad}"), env=server.env)
        equal(result.code, 2, result)
        contains(result.err, "failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>")
        check(bad not in result.err, "the token is in the message", result)
    check(not (server.server_dir / "token").exists(), "a refused start left a token")

    server.start("--token=first-secret")
    equal(server.password, "first-secret")
    server.stop()
    result = bench.run(*server.server_args("--token=other-secret"), env=server.env)
    equal(result.code, 4, result)
    contains(result.err, "bootstrap data already found and encrypted with different token")
    # Both are named by their hashes, not by themselves.
    for token in ("first-secret", "other-secret"):
        contains(result.err, hashlib.sha256(token.encode()).hexdigest()[:12])
        check(token not in result.err, "a token is in the message", result)
    equal(server.password, "first-secret", "a refused token was written down")
    (server.server_dir / "token").unlink()
    result = bench.run(*server.server_args(), env=server.env)
    equal(result.code, 4, result)
    contains(result.err, "no token was given")
    server.start("--token=first-secret")
    equal(server.password, "first-secret")
    server.stop()


def test_a_token_file_that_appears_late_is_waited_for(bench):
    server, token_file = bench.server(), bench.dir / "secret/token"
    server.launch("--token=ignored", f"--token-file={token_file}")
    wait_for(lambda: f"waiting for the token file {token_file}" in server.log_text(), "the server to wait")
    check(not (server.server_dir / "token").exists(), "a token was made while waiting")
    token_file.parent.mkdir()
    token_file.write_text("  from-the-file\n\n")
    wait_for(lambda: server.get("/readyz")[0] == 200, "the server to be ready")
    equal(server.password, "from-the-file")
    check("from-the-file" not in server.log_text(), "the token is in the log")
    server.stop()


def test_an_agent_token_comes_and_goes(bench):
    server = bench.server().start("--agent-token=for-agents")
    agent_file = server.server_dir / "agent-token"
    ca_hash = server.token.split("::")[0]
    equal(agent_file.read_text(), f"{ca_hash}::node:for-agents\n")
    equal(mode(agent_file), "0o600")
    check(not agent_file.is_symlink(), "agent-token is a link")
    equal(server.get("/metrics", user="node", password="for-agents")[0], 200)
    equal(server.get("/metrics", user="node", password=server.password)[0], 401)
    server.stop()

    late = bench.dir / "agent-token-file"
    late.write_text("other-agents\n")
    server.start(f"--agent-token-file={late}")
    equal(agent_file.read_text(), f"{ca_hash}::node:other-agents\n")
    equal(server.get("/metrics", user="node", password="for-agents")[0], 401)
    server.stop()

    # Without the flag agents use the server's token, and the file says so.
    server.start()
    equal(agent_file.read_text().strip(), server.token, "agent-token")
    equal(server.get("/metrics", user="node", password="other-agents")[0], 401)
    equal(server.get("/metrics", user="node", password=server.password)[0], 200)
    server.stop()


def test_the_configuration_of_etcd(bench):
    server = bench.server().start("--etcd-arg=quota-backend-bytes=858993459", "--etcd-arg=--max-request-bytes=2000000",
                                  "--etcd-arg=auto-compaction-retention=2", "--etcd-arg=experimental-compaction-sleep-interval=20ms",
                                  "--node-external-ip=192.0.2.7")
    text = (server.db / "etcd/config").read_text()
    lines = text.splitlines()
    equal(mode(server.db / "etcd/config"), "0o600")
    port = {flag.split("=")[0]: int(flag.split("=")[1]) for flag in server.ports}
    client, peer = port["--etcd-client-port"], port["--etcd-peer-port"]
    name = (server.db / "etcd/name").read_text()
    for line in (f"name: {name}", f"data-dir: {server.db}/etcd", f"listen-client-urls: https://127.0.0.1:{client}",
                 f"advertise-client-urls: https://127.0.0.1:{client}", f"listen-peer-urls: https://127.0.0.1:{peer}",
                 f"initial-advertise-peer-urls: https://127.0.0.1:{peer}", f"initial-cluster: {name}=https://127.0.0.1:{peer}",
                 f"listen-metrics-urls: http://127.0.0.1:{port['--etcd-metrics-port']}",
                 f"listen-client-http-urls: https://127.0.0.1:{port['--etcd-client-http-port']}",
                 "heartbeat-interval: 10", "election-timeout: 100", "snapshot-count: 10000", "logger: zap",
                 "experimental-initial-corrupt-check: true", "experimental-watch-progress-notify-interval: 5000000000",
                 "quota-backend-bytes: 858993459", "max-request-bytes: 2000000", 'auto-compaction-retention: "2"',
                 "experimental-compaction-sleep-interval: 20000000", "  client-cert-auth: true", "  reuse-port: false",
                 f"  cert-file: {server.server_dir}/tls/etcd/server-client.crt", f"  trusted-ca-file: {server.server_dir}/tls/etcd/server-ca.crt",
                 f"  key-file: {server.server_dir}/tls/etcd/peer-server-client.key",
                 f"  trusted-ca-file: {server.server_dir}/tls/etcd/peer-ca.crt"):
        check(line in lines, f"no line {line!r} in\n{text}")
    check("force-new-cluster" not in text, text)
    top = [line.split(":")[0] for line in lines if line and not line.startswith((" ", "-"))]
    equal(top, sorted(top), "keys are sorted")
    # etcd took it: the quota is in force, and nobody without a certificate comes in.
    contains(bench.ok("curl", "-sS", f"http://127.0.0.1:{port['--etcd-metrics-port']}/metrics").out, "etcd_server_quota_backend_bytes 8.58993459e+08")
    check(bench.run("curl", "-sSk", f"https://127.0.0.1:{client}/health").code != 0, "etcd serves clients without a certificate")
    server.stop()

    for wrong, words in (("name=other", "name is set by the server itself"), ("no-value", 'expected key=value')):
        result = bench.run(*server.server_args(f"--etcd-arg={wrong}"), env=server.env)
        equal(result.code, 2, result)
        contains(result.err, words)


def test_etcd_dies_and_is_started_again(bench):
    # By links, so that it cannot come back before everything was looked at.
    links = bench.dir / "links"
    links.mkdir()
    for name in ("etcd", "etcdctl"):
        (links / name).symlink_to(etcd_versions()[0] / name)
    server = bench.server(etcd_dir=links).start()
    server.fill(20)
    before, revision = server.dump(), server.revision()
    equal(metrics(server)["holdfast_etcd_restarts_total"], 0)
    [pid] = server.etcd_pids()
    (links / "etcd").rename(links / "gone")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "etcd ended with signal 9; starting it again in 1s" in server.log_text(), "the server to notice")
    code, text = server.get("/readyz")
    equal(code, 503)
    check("etcd ended with signal 9" in text or f"execute {links}/etcd" in text, text)  # a second later it has tried
    equal(server.get("/livez")[0], 200, "it is alive and works on it")
    result = server.snapshot("save")
    equal(result.code, 5, result)
    contains(result.err, "etcd is not running")
    (links / "gone").rename(links / "etcd")
    wait_for(lambda: server.get("/readyz")[0] == 200, "etcd to be there again")
    check(server.etcd_pids() != [pid], "the same etcd?")
    equal((server.dump(), server.revision()), (before, revision), "data after etcd died")
    numbers = metrics(server)
    equal(numbers["holdfast_etcd_restarts_total"], server.log_text().count("; starting it again in "))
    equal(numbers["holdfast_etcd_healthy"], 1)
    server.save()
    server.stop()


def test_a_hung_etcd_makes_the_server_unready_and_does_not_hold_up_its_end(bench):
    server = bench.server().start()
    [pid] = server.etcd_pids()
    os.kill(pid, signal.SIGSTOP)
    code, text = wait_for(lambda: (a := server.get("/readyz"))[0] != 200 and a, "the server to notice")
    equal(code, 503)
    contains(text.lower(), "deadline")
    equal(metrics(server)["holdfast_etcd_healthy"], 0)
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: server.get("/readyz")[0] == 200, "etcd to be healthy again")
    os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    server.stop()
    check(time.monotonic() - start < 45, "stopping took", time.monotonic() - start)
    equal(server.etcd_pids(), [])


def test_an_etcd_that_never_starts_ends_the_server(bench):
    server = bench.server(etcd_dir=fake_etcd(bench, "echo 'libmagic.so.1: cannot open shared object file' >&2; exit 127"))
    server.launch()
    start = time.monotonic()
    equal(server.process.wait(60), 1)
    check(time.monotonic() - start < 50, "it took", time.monotonic() - start)
    log = server.log_text()
    contains(log, "etcd did not start 5 times in a row")
    contains(log, "exit code 127")
    # What it said before it died is the reason, so it is not swallowed.
    contains(log, "level=fatal msg=\"Error: etcd did not start 5 times in a row: etcd ended with exit code 127: libmagic.so.1: cannot open")


def test_an_etcd_that_is_not_there(bench):
    server = bench.server()
    for program, words in (("/nowhere/etcd", "/nowhere/etcd"), ("no-such-etcd", r'no program \"no-such-etcd\" on PATH'),
                           ("/bin/true", "does not look like etcd's"), ("/etc", "/etc")):
        result = bench.run(*server.server_args(f"--etcd-binary={program}"), env=server.env)
        equal(result.code, 1, result)
        contains(result.err, words)
        contains(result.err, "etcd-binary")


def test_a_taken_port_names_its_holder(bench):
    server = bench.server()
    for flag in server.ports:
        name, port = flag.removeprefix("--").split("=")
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", int(port)))
            holder.listen()
            result = bench.run(*server.server_args(), env=server.env)
        equal(result.code, 1, name, result)
        comm = pathlib.Path("/proc/self/comm").read_text().strip()
        contains(result.err, f"port {port} of 127.0.0.1 is in use by {comm} (pid {os.getpid()})")
        contains(result.err, f"--{name}")
    equal(server.etcd_pids(), [])
    server.start().stop()  # and now nothing is in its way


def test_a_second_server_on_the_same_data_is_refused(bench):
    server = bench.server().start()
    state = files(server.data_dir)
    other = bench.server()
    for flags in ([], ["--cluster-reset"]):
        result = bench.run(*other.server_args(*flags), env=other.env)
        equal(result.code, 6, result)
        contains(result.err, f"another server is running on {server.data_dir} (pid {server.process.pid})")
    equal(files(server.data_dir), state)
    equal(server.get("/readyz")[0], 200)
    server.stop()


def test_sigterm_while_starting_is_a_clean_end(bench):
    for name, directory, flags, sign in (
            ("no-leader", fake_etcd(bench, "exec sleep 600"), [], "Supervisor listens"),
            ("no-token", None, [f"--token-file={bench.dir}/never"], "waiting for the token file")):
        server = bench.server(name, etcd_dir=directory).launch(*flags)
        wait_for(lambda: sign in server.log_text(), sign)
        start = time.monotonic()
        server.stop()
        check(time.monotonic() - start < 20, name, "took", time.monotonic() - start)
        check("level=fatal" not in server.log_text() and "level=error" not in server.log_text(), server.log_text())
        equal(bench.run("pgrep", "-f", str(bench.dir / "fake-etcd")).out, "", "left behind")


def test_sigterm_during_a_save_stops_both(bench):
    server = bench.server().start()
    fill_for_stall(server)

    def start():
        (bench.dir / "save.log").unlink(missing_ok=True)
        return bench.spawn([server.program, "etcd-snapshot", "save"], "save.log", env=server.env)

    save = StalledSave(server, start)
    before = [path for path in server.snapshots.iterdir() if path not in save.parts()]  # of tries that were too quick
    server.process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    equal(server.process.wait(60), 0)
    check(time.monotonic() - start < 45, "stopping took", time.monotonic() - start)
    equal(save.started.wait(30), 5)
    log = (bench.dir / "save.log").read_text()
    contains(log, "level=fatal")
    check(" saved." not in log, log)
    equal(sorted(server.snapshots.iterdir()), sorted(before), "an unfinished snapshot")
    server.start()
    equal(server.names(), sorted(path.name for path in before))
    server.stop()


def test_sigkill_takes_etcd_along_and_the_next_start_is_fine(bench):
    server = bench.server().start()
    server.fill(20)
    before = server.dump()
    for _ in range(3):
        server.process.kill()
        server.process.wait()
        # At once, as a service manager without a pause would: etcd may still be dying.
        server.start()
        equal(len(server.etcd_pids()), 1, "etcds")
        equal(server.dump(), before)
    server.stop()
    equal(server.etcd_pids(), [])


def test_a_second_signal_ends_it_at_once(bench):
    server = bench.server().start()
    [pid] = server.etcd_pids()
    os.kill(pid, signal.SIGSTOP)  # it will not end in order
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping" in server.log_text(), "the first signal")
    server.process.send_signal(signal.SIGINT)
    equal(server.process.wait(15), 1)  # in order it would take 20 s, for which etcd is waited for
    wait_for(lambda: not server.etcd_pids(), "etcd to die")


def inner_loopback_only(bench):
    server = bench.server()
    args = server.server_args()
    server.server_args = lambda *flags: [a for a in args if not a.startswith(("--node-ip", "--bind-address"))] + list(flags)
    server.start()
    server.fill(5)
    contains((server.db / "etcd/config").read_text(), f"listen-client-urls: https://127.0.0.1:{server.client_port}\n")
    server.save()
    server.stop()


def test_a_host_with_loopback_only(bench):
    if os.geteuid() != 0:
        raise Skip("needs root for a network of its own")
    script = "ip link set lo up && exec \"$@\""
    inside = ["unshare", "-n", "sh", "-c", script, "sh"]
    if shutil.which("ip") is None or bench.run(*inside, "true").code != 0:
        raise Skip("cannot make a network of its own")
    run = pathlib.Path(__file__).parent / "run"
    result = bench.run(*inside, sys.executable, run, "server_test", "inner_loopback_only")
    equal(result.code, 0, result)


def test_three_servers_side_by_side(bench):
    servers = [bench.server(f"data-{i}").launch() for i in range(3)]
    for i, server in enumerate(servers):
        wait_for(lambda: server.get("/readyz")[0] == 200, f"server {i}")
        server.etcdctl("put", "/who", f"server {i}")
    equal(len({server.password for server in servers}), 3, "passwords")
    saves = [bench.spawn([s.program, "etcd-snapshot", "save"], f"save-{i}.log", env=s.env) for i, s in enumerate(servers)]
    for i, server in enumerate(servers):
        equal(saves[i].wait(60), 0)
        equal(len(server.names()), 1)
        contains(server.etcdctl("get", "/who"), f"server {i}")
    equal(servers[0].get("/db/info", password=servers[1].password)[0], 401, "another cluster's password")
    for server in servers:
        server.stop()


def test_a_start_log_says_what_matters_once(bench):
    server = bench.server().start()
    server.stop()
    lines = log_lines(server.log_text())
    bad = [line for line in lines if line[0] not in ("info",)]
    equal(bad, [], "warnings and errors of a first start and stop")
    text = server.log_text()
    for words in ("Node node-1 at 127.0.0.1, etcd ", f"A new token was made; it is in {server.server_dir}/token",
                  f"Supervisor listens on 127.0.0.1:{server.supervisor_port}", "Bootstrap data are saved in the datastore (token hash ",
                  "etcd is healthy", "holdfast is up and running", "Next scheduled snapshot at ", "(0 */12 * * *)",
                  "signal 15: stopping", "Stopping etcd"):
        equal(text.count(words), 1, words, "in", text)
    check(server.password not in text, "the token is in the log")


def test_etcd_ends_in_order(bench):
    # By its own log, and soon: nothing of ours may keep it waiting for clients to go.
    server = bench.server().start("--debug", "--etcd-arg=election-timeout=5000", "--etcd-arg=heartbeat-interval=500")
    start = time.monotonic()
    server.stop()
    check(time.monotonic() - start < 10, "stopping took", time.monotonic() - start)
    contains(server.log_text(), "etcd: closed etcd server")


def test_a_wrapper_script_for_etcd_may_do_without_exec(bench):
    real = shutil.which("etcd")
    server = bench.server(etcd_dir=fake_etcd(bench, f"{real} \"$@\"; exit $?")).start("--debug")
    check(len(server.etcd_pids()) == 2, "script and etcd", server.etcd_pids())
    server.stop()
    equal(server.etcd_pids(), [])
    contains(server.log_text(), "etcd: closed etcd server")


def test_nothing_secret_is_handed_to_etcd(bench):
    server = bench.server(etcd_dir=fake_etcd(bench, f"env >{bench.dir}/environment; exec {shutil.which('etcd')} \"$@\""))
    server.start(env={"HOLDFAST_TOKEN": "hush-hush", "AWS_SECRET_ACCESS_KEY": "quiet-please", "GOMAXPROCS": "2"})
    equal(server.password, "hush-hush")
    environment = (bench.dir / "environment").read_text()
    for secret in ("hush-hush", "quiet-please", "HOLDFAST_"):
        check(secret not in environment, secret, "in", environment)
    contains(environment, "GOMAXPROCS=2")
    server.stop()


def test_with_users_of_etcds_own(bench):
    """As docs/operating/install.md says it."""
    for number, etcd_dir in enumerate(etcd_versions()):
        server = bench.server(f"users-{number}", etcd_dir=etcd_dir).start()
        server.etcdctl("put", "/key", "kept")
        # etcd wants a root before it enables them.
        server.etcdctl("user", "add", "root:secret")
        server.etcdctl("user", "grant-role", "root", "root")
        server.etcdctl("user", "add", "etcd-client", "--no-password")
        server.etcdctl("user", "grant-role", "etcd-client", "root")
        server.etcdctl("auth", "enable")
        snapshot = server.save()
        server.stop()
        server.start()
        equal(server.get("/readyz")[0], 200)
        server.etcdctl("put", "/key", "later")
        server.stop()
        equal(server.reset(f"--cluster-reset-restore-path={snapshot.name}").code, 0)
        server.start()
        equal(server.etcdctl("get", "/key", "--print-value-only").strip(), "kept")
        server.save()
        server.stop()
