"""Settings from all their places, what is said about wrong ones, the three names of the program, and where secrets do not show."""
import hashlib
import json
import os
import pathlib
import stat
import subprocess

from harness import BIN, check, contains, equal, wait_for
from probe import metrics


class Words:
    """Runs `holdfast server` far enough to see which etcd it would take: no etcd is started."""

    def __init__(self, bench):
        self.bench = bench
        self.config = bench.dir / "config.yaml"
        self.drop_ins = bench.dir / "config.yaml.d"

    def server(self, *argv, env=None):
        # A token makes sure that nothing is generated; the ports are checked later than the program.
        return self.bench.run(BIN, "server", f"--data-dir={self.bench.dir}/data", *argv,
                              env={"HOLDFAST_CONFIG_FILE": str(self.config), **(env or {})})

    def etcd(self, *argv, env=None):
        """The --etcd-binary that holds."""
        result = self.server(*argv, env=env)
        equal(result.code, 1, result)
        return result.err.split("execute ")[1].split(":")[0]


def test_which_setting_holds(bench):
    words = Words(bench)
    contains(words.server("--etcd-binary=no-such-name").err, r'no program \"no-such-name\" on PATH')
    env = {"HOLDFAST_ETCD_BINARY": "/from/env"}
    equal(words.etcd(env=env), "/from/env")
    words.drop_ins.mkdir()
    (words.drop_ins / "20-last.YAML").write_text("etcd-binary: /from/last-drop-in\n")
    equal(words.etcd(env=env), "/from/last-drop-in", "a drop-in needs no file beside it")
    words.config.write_text("etcd-binary: /from/file\n")
    (words.drop_ins / "10-first.yml").write_text("etcd-binary: /from/first-drop-in\n")
    (words.drop_ins / "30-not.txt").write_text("etcd-binary: /from/text\n")
    (words.drop_ins / "40-directory.yaml").mkdir()
    equal(words.etcd(env=env), "/from/last-drop-in")
    (words.drop_ins / "20-last.YAML").unlink()
    equal(words.etcd(env=env), "/from/first-drop-in")
    (words.drop_ins / "10-first.yml").unlink()
    equal(words.etcd(env=env), "/from/file")
    equal(words.etcd("--etcd-binary=/from/flag", env=env), "/from/flag")
    equal(words.etcd("--etcd-binary", "/from/flag", "-etcd-binary", "/from/last-flag", env=env), "/from/last-flag")
    # --config beats the environment's file, as flags beat it everywhere.
    other = bench.dir / "other.yaml"
    other.write_text("etcd-binary: /from/other-file\n")
    for flag in (["--config", str(other)], [f"-c={other}"], ["-c", str(other)], [f"-config={other}"]):
        equal(words.etcd(*flag, env=env), "/from/other-file", flag)
    equal(words.etcd(f"--config={bench.dir}/missing.yaml", env=env), "/from/env", "a missing file is fine")
    for yaml in ("etcd-binary: \"/from/quotes\"\n", "---\netcd-binary: '/from/quotes'\n...\n", "# a comment\n{etcd-binary: /from/quotes}\n"):
        words.config.write_text(yaml)
        equal(words.etcd(env=env), "/from/quotes", yaml)


def test_flags_may_stand_anywhere(bench):
    words = Words(bench)
    for argv in (["--etcd-binary=/x", "server"], ["-etcd-binary", "/x", "server"], ["--debug", "server", "-etcd-binary=/x"],
                 ["server", "--etcd-binary", "/x", "--debug=false"]):
        result = bench.run(BIN, *argv, f"--data-dir={bench.dir}/data", env={"HOLDFAST_CONFIG_FILE": str(words.config)})
        contains(result.err, "execute /x")
    # A boolean takes a value only with "="; what follows is a word of its own.
    result = words.server("--cluster-reset", "false")
    equal(result.code, 2, result)
    contains(result.err, r'this command does not take any arguments, found \"false\"')


def test_a_configuration_file_is_enough(bench):
    server = bench.server()
    port = {flag.split("=")[0].removeprefix("--"): flag.split("=")[1] for flag in server.ports}
    (bench.dir / "token").write_text("from-a-file\n")
    config = bench.dir / "config.yaml"
    config.write_text("".join(f"{name}: {number}\n" for name, number in port.items()) + f"""
# what a person writes
data-dir: {server.data_dir}
token-file: {bench.dir}/token
bind-address: 127.0.0.1
node-ip: [127.0.0.1]
node-name: From-The-File.Example
etcd-binary: {server.etcd_dir}/etcd
etcd-snapshot-name: nightly
etcd-snapshot-schedule-cron: "@every 1s"
etcd-snapshot-retention: 1
etcd-snapshot-compress: yes
tls-san:
- one.example.org
etcd-arg:
- heartbeat-interval=50
- election-timeout=500
write-kubeconfig-mode: "0644"
""".replace('write-kubeconfig-mode: "0644"\n', ""))
    drop_in = bench.dir / "config.yaml.d"
    drop_in.mkdir()
    (drop_in / "more.yaml").write_text("tls-san+: two.example.org\nnode-name: node-1\n")
    env = {"HOLDFAST_CONFIG_FILE": str(config)}
    server.process = bench.spawn([BIN, "server", "--tls-san=three.example.org"], server.log.name, env=env)
    wait_for(lambda: server.get("/readyz")[0] == 200, "the server to be ready")
    equal(server.password, "from-a-file")
    sans = bench.ok("openssl", "x509", "-in", server.server_dir / "tls/supervisor.crt", "-noout", "-ext", "subjectAltName").out
    for name in ("one.example.org", "two.example.org", "three.example.org", "node-1"):
        contains(sans, f"DNS:{name}")
    # The same file serves the commands that talk to this server.
    [item] = wait_for(lambda: json.loads(bench.ok(BIN, "etcd-snapshot", "ls", "-o", "json", env=env).out)["items"], "a scheduled snapshot")[-1:]
    check(item["spec"]["snapshotName"].startswith("nightly-node-1-") and item["spec"]["snapshotName"].endswith(".zip"), item)
    # A scheduled one may be under way.
    saved = wait_for(lambda: (r := bench.run(BIN, "etcd-snapshot", "save", env=env)).code != 6 and r, "a save")
    equal(saved.code, 0, saved)
    contains(saved.err, ".zip saved.")
    server.stop()


def test_the_snapshot_commands_read_the_same_file(bench):
    server = bench.server().start("--etcd-snapshot-retention=4")
    place = bench.dir / "place"
    place.mkdir()
    config = bench.dir / "config.yaml"
    # Keys of the server that these commands do not know are fine; so is a token of the server's own.
    config.write_text(f"token: whatever\ndata-dir: {server.data_dir}\nsupervisor-port: {server.supervisor_port}\ntls-san: [a, b]\n"
                      f"etcd-snapshot-dir: {place}\netcd-snapshot-retention: 2\netcd-snapshot-compress: true\n"
                      "etcd-snapshot-schedule-cron: '0 * * * *'\netcd-arg: [a=b]\ncluster-reset-restore-path: ''\n")

    def snapshot(*argv):
        result = bench.run(BIN, "etcd-snapshot", *argv, env={"HOLDFAST_CONFIG_FILE": str(config)})
        equal(result.code, 0, result)
        equal(len([line for line in result.err.splitlines() if "level=warning" in line]), 0, result)
        return result

    for _ in range(3):
        snapshot("save")
    equal(len(list(place.glob("on-demand-node-1-*.zip"))), 3)
    equal(server.names(), [], "the server's own directory")
    equal(len(snapshot("prune").err.split(" deleted.")) - 1, 1)
    equal(len(snapshot("ls").out.splitlines()), 1 + 2)
    # The command line wins over the file.
    snapshot("save", f"--dir={server.snapshots}", "--snapshot-compress=false", "--name=mine")
    [name] = server.names()
    check(name.startswith("mine-") and not name.endswith(".zip"), name)
    equal(len(snapshot("prune", "--snapshot-retention=1").err.split(" deleted.")) - 1, 1)
    snapshot("delete", *[p.name for p in place.glob("*.zip")])
    server.stop()
    equal(snapshot("ls").out.splitlines(), ["Name Location Size Created"])


def test_what_is_empty_in_a_file_is_not_set(bench):
    """As templates write it. A directory that is named by nothing is not the one where somebody stands."""
    server = bench.server().start()
    config = bench.dir / "config.yaml"
    config.write_text(f"data-dir: {server.data_dir}\nsupervisor-port: {server.supervisor_port}\netcd-snapshot-dir: ''\netcd-server: ''\n"
                      "server: ''\netcd-snapshot-compression: zstd\n")
    home = bench.dir / "home"
    home.mkdir()
    (home / "notes.txt").write_text("mine")

    def snapshot(*argv):
        return bench.run(BIN, "etcd-snapshot", *argv, env={"HOLDFAST_CONFIG_FILE": str(config)}, cwd=home)
    saved = snapshot("save")
    equal(saved.code, 0, saved)
    contains(saved.err, ".zst saved.")
    equal(len(server.names()), 1)
    contains(snapshot("delete", "notes.txt").err, "not found")
    # The command line wins over the file, also by the older flag.
    equal(snapshot("save", "--name=plain", "--snapshot-compress=false").code, 0)
    equal(len([name for name in server.names() if name.startswith("plain-") and not name.endswith(".zst")]), 1)
    server.stop()
    snapshot("delete", "notes.txt")
    equal([p.name for p in home.iterdir()], ["notes.txt"])


def test_unknown_keys(bench):
    words = Words(bench)
    for yaml, line, hint in (("etcd-binary: /x\n\netcd-snapshot-retentoin: 7\n", 3, "Did you mean etcd-snapshot-retention?"),
                             ("\ncni:\n- canal\n- multus\n", 2, "See `server --help` for the keys."),
                             ("debug: true\nwrite-kubeconfig: \n", 2, ""), ("x+: 1\n", 1, "")):
        words.config.write_text(yaml)
        result = words.server()
        equal(result.code, 2, result)
        contains(result.err, f"{words.config}:{line}: unknown key")
        contains(result.err, hint)
        equal(bench.run(BIN, "etcd-snapshot", "ls", env={"HOLDFAST_CONFIG_FILE": str(words.config)}).code, 2)
    check(not (bench.dir / "data").exists(), "a refused start made a data directory")

    # The files of RKE2 and K3s hold much that is none of ours: one line about it, and on.
    words.config.write_text("cni: canal\ndisable:\n- rke2-ingress-nginx\nkube-apiserver-arg: [a=b]\netcd-binary: /from/file\n")
    for name in ("rke2", "k3s"):
        link = bench.dir / name
        link.symlink_to(BIN)
        env = {f"{name.upper()}_CONFIG_FILE": str(words.config)}
        result = bench.run(link, "server", f"--data-dir={bench.dir}/data", env=env)
        contains(result.err, "execute /from/file")
        warnings = [text for text in result.err.splitlines() if "level=warning" in text]
        equal(len(warnings), 1, warnings)
        contains(warnings[0], "3 keys in the configuration are not known here and were skipped: cni, disable, kube-apiserver-arg")


WRONG_VALUES = [
    ("etcd-snapshot-schedule-cron: '0 0 * *'", "etcd-snapshot-schedule-cron"),
    ("etcd-snapshot-schedule-cron: 'every day'", "etcd-snapshot-schedule-cron"),
    ("etcd-snapshot-schedule-cron: '61 * * * *'", "61"),
    ("etcd-snapshot-schedule-cron: '* * * * * *'", "etcd-snapshot-schedule-cron"),
    ("etcd-snapshot-schedule-cron: '@every tomorrow'", "tomorrow"),
    ("etcd-snapshot-schedule-cron: '0 0 31 2 *'", "never comes"),
    ("etcd-snapshot-schedule-cron: 'TZ=Middle/Earth * * * * *'", "Middle/Earth"),
    ("etcd-snapshot-schedule-cron: ''", "etcd-snapshot-schedule-cron"),
    ("etcd-snapshot-retention: five", '"five" is not a whole number'),
    ("etcd-snapshot-retention: 5.5", '"5.5" is not a whole number'),
    ("etcd-snapshot-retention: 99999999999999999999", "is not a whole number"),
    ("etcd-snapshot-reconcile-interval: 0s", "etcd-snapshot-reconcile-interval must be greater than 0s"),
    ("etcd-snapshot-reconcile-interval: -5m", "etcd-snapshot-reconcile-interval must be greater than 0s"),
    ("etcd-snapshot-reconcile-interval: 10", "10"),
    ("etcd-snapshot-compression: lzma", '"lzma" is not one of none, zip, zstd'),
    ("etcd-snapshot-name: ../x", "must not contain path separators"),
    ("etcd-snapshot-name: ''", "must not be empty"),
    ("etcd-disable-snapshots: perhaps", '"perhaps" is neither true nor false'),
    ("etcd-auto-compaction-retention: -1h", "it is negative"),
    ("supervisor-port: 70000", "70000 is not a port between 1 and 65535"),
    ("supervisor-port: 0", "0 is not a port between 1 and 65535"),
    ("etcd-client-port: http", '"http" is not a whole number'),
    ("etcd-client-port: 9345", "port 9345 is set for two things"),
    ("bind-address: localhost", '"localhost" is not an IP address'),
    ("node-ip: 10.0.0.300", '"10.0.0.300" is not an IP address'),
    ("node-ip: [10.0.0.1, nonsense]", '"nonsense" is not an IP address'),
    ("advertise-address: me.example.org", '"me.example.org" is not an IP address'),
    ("node-name: a/b", "cannot be part of a file name"),
    ("etcd-arg: no-equals-sign", "expected key=value"),
    ("cluster-reset-restore-path: /x", "invalid flag use; --cluster-reset required with --cluster-reset-restore-path"),
    ("server: http://other:9345", "only https:// URLs are supported, invalid scheme: http://other:9345"),
    ("rejoin: true", "invalid flag use; --server required with --rejoin"),
    ("datastore-endpoint: root:geheim@/k", "invalid datastore endpoint; endpoint should be a DSN URI in the format"),
    ("datastore-endpoint: oracle://root:geheim@/k", "invalid datastore endpoint; unknown driver: oracle"),
    ("datastore-endpoint: sqlite:///k\ndatastore-certfile: a.crt", "--datastore-certfile and --datastore-keyfile must come together"),
    ("datastore-endpoint: sqlite:///k\ncluster-reset: true", "--cluster-reset is for an etcd of our own"),
    ("datastore-endpoint: sqlite:///k\nserver: https://other:9345", "--server joins a cluster"),
    ("disable-etcd: true", "invalid flag use; --datastore-endpoint required with --disable-etcd"),
    ("etcd-s3: true", "s3 bucket name was not set"),
    ("etcd-s3: true\netcd-s3-bucket: b\netcd-s3-timeout: 0s", "etcd-s3-timeout must be greater than 0s"),
    ("etcd-s3-config-secret: x", "secrets of Kubernetes cannot be read here"),
    ("tls-san: {a: b}", "is a map, expected a value or a list"),
    ("tls-san: [[a]]", "holds a list or map inside a list"),
    ("- a\n- b", "expected keys and values"),
    ("just text", "expected keys and values"),
    ("a: b: c", "config.yaml:1"),
    ("etcd-snapshot-name: x\n\t- y", "config.yaml:2"),
    ("tls-san:\n  " + "[" * 100_000, "config.yaml"),
    ("? [a]\n: b", "a key must be a text"),
]


def test_wrong_values_are_refused_with_their_place(bench):
    words = Words(bench)
    for yaml, expected in WRONG_VALUES:
        words.config.write_text(yaml + "\n")
        result = words.server("--etcd-binary=/reached/etcd")
        equal(result.code, 2, yaml[:100], result)
        text = result.err.replace('\\"', '"')
        contains(text, expected)
        check("geheim" not in text, "a secret in", text)
        check(yaml.count("\n") or "config.yaml:1" in text or expected.startswith(("invalid flag", "only https", "port 9345", "expected")),
              "no place in", text)
    check(not (bench.dir / "data").exists(), "a refused start made a data directory")
    # The same from elsewhere: the place is named.
    words.config.unlink()
    contains(words.server("--etcd-snapshot-retention=five").err, r'Error: invalid etcd-snapshot-retention: \"five\" is not a whole number')
    contains(words.server(env={"HOLDFAST_ETCD_SNAPSHOT_RETENTION": "five"}).err,
             r'invalid etcd-snapshot-retention (HOLDFAST_ETCD_SNAPSHOT_RETENTION): \"five\" is not a whole number')
    result = words.server("--etcd-snapshot-retention=five", env={"HOLDFAST_DEBUG": "perhaps"})
    equal(result.code, 2, result)
    for argv, words_of_error, hint in ((["--etcd-snapshot-retentoin=5"], "unknown flag --etcd-snapshot-retentoin for server",
                                        "Did you mean --etcd-snapshot-retention?"), (["--config"], "flag --config needs a value", ""),
                                       (["-x"], "unknown flag -x for server", ""), (["serve"], "does not take any arguments", "")):
        result = words.server(*argv)
        equal(result.code, 2, result)
        contains(result.err, words_of_error)
        contains(result.err, hint)
    # A configuration that cannot be read is not a missing one.
    words.config.mkdir()
    result = words.server()
    check(result.code != 0 and str(words.config) in result.err, result)
    words.config.rmdir()
    words.config.write_text("x" * (1 << 20) + "x")
    result = words.server()
    check(result.code != 0 and str(words.config) in result.err, result)


def test_versions_and_help(bench):
    for argv in (["version"], ["--version"], ["-v"], ["-version"]):
        result = bench.ok(BIN, *argv)
        lines = result.out.splitlines()
        check(lines[0].startswith("holdfast version 0.") and lines[1].startswith("etcd version 3."), result)
        equal(result.err, "")
    result = bench.ok(BIN, "version", "--etcd-binary=/nowhere")
    contains(result.out, "etcd version execute /nowhere: no such file or directory")
    overview = bench.ok(BIN).out
    for argv in (["help"], ["--help"], ["-h"]):
        equal(bench.ok(BIN, *argv).out, overview, argv)
    for words in ("server", "etcd-snapshot save", "etcd-snapshot ls", "etcd-snapshot prune", "etcd-snapshot delete",
                  "etcd-snapshot status", "etcd-snapshot s3-check", "restore", "version"):
        contains(overview, f"  {words} ")
        command = words.split()
        text = bench.ok(BIN, "help", *command).out
        contains(text, f"Usage: holdfast {words}")
        for argv in ([*command, "--help"], [*command, "-h"], ["--help", *command]):
            equal(bench.ok(BIN, *argv).out, text, argv)
    for alias in ("list", "l"):
        equal(bench.ok(BIN, "etcd-snapshot", alias, "--help").out, bench.ok(BIN, "etcd-snapshot", "ls", "--help").out)
    group = bench.ok(BIN, "etcd-snapshot").out
    contains(group, "Usage: holdfast etcd-snapshot COMMAND")
    equal(bench.ok(BIN, "help", "etcd-snapshot").out, group)
    for argv, words in ((["fly"], r'unknown command \"fly\"'), (["etcd-snapshot", "fly"], r'unknown command \"etcd-snapshot fly\"'),
                        (["--fly"], "unknown flag --fly"), (["help", "fly"], r'unknown command \"fly\"'),
                        (["version", "now"], "does not take any arguments")):
        result = bench.run(BIN, *argv)
        equal(result.code, 2, argv, result)
        contains(result.err, words)
        equal(result.out, "")


def test_the_names_rke2_and_k3s(bench):
    for name, port in (("rke2", 9345), ("k3s", 6443)):
        link = bench.dir / name
        link.symlink_to(BIN)
        server = bench.server(f"data-{name}", program=link, distribution=name).start("--agent-token=for-agents")
        equal((server.server_dir / "cred/passwd").read_text().count(f",{name}:server"), 1)
        contains(server.log_text(), f"{name} is up and running")
        contains(bench.ok("openssl", "x509", "-in", server.server_dir / "tls/server-ca.crt", "-noout", "-subject").out, f"CN = {name}-server-ca@")
        check(metrics(server)[f"{name}_etcd_healthy"] == 1, "metric prefix")
        server.save()
        [item] = json.loads(server.snapshot("ls", "-o", "json").out)["items"]
        equal(item["metadata"]["labels"], {f"etcd.{name}.cattle.io/snapshot-storage-node": "node-1"})
        equal(list(item["metadata"]["annotations"]), [f"etcd.{name}.cattle.io/snapshot-token-hash"])
        server.stop()
        # Its own paths and port, and not our environment. (Nothing of it is there on this machine, or it is only listed.)
        help_text = bench.ok(link, "help").out
        contains(help_text, f"/etc/rancher/{name}/config.yaml")
        contains(help_text, f"Usage: {name} COMMAND")
        result = bench.run(link, "etcd-snapshot", "save", env={"HOLDFAST_DATA_DIR": str(server.data_dir),
                                                               f"{name.upper()}_CONFIG_FILE": str(bench.dir / "none")})
        contains(result.err, f"https://127.0.0.1:{port}/")
        contains(bench.ok(link, "version").out, f"{name} version 0.")
        if not pathlib.Path(f"/var/lib/rancher/{name}").exists():
            result = bench.run(link, "etcd-snapshot", "ls", f"--supervisor-port={bench.port()}")
            contains(result.err, f"working on /var/lib/rancher/{name}/server/db/snapshots directly")


def test_secrets_show_nowhere(bench):
    server = bench.server()
    secrets = ["server-secret-4711", "agent-secret-0815"]
    # As flags, in all places a flag may stand; ps shows the command and nothing behind it.
    args = server.server_args("--token=server-secret-4711", "-agent-token", "agent-secret-0815", "--debug")
    for order in (args, [args[0], *args[-3:], *args[1:-3]], [args[0], *args[-4:], *args[1:-4]]):
        server.process = bench.spawn(order, server.log.name, env=server.env)
        wait_for(lambda: server.get("/readyz")[0] == 200, "the server to be ready")
        command_line = pathlib.Path(f"/proc/{server.process.pid}/cmdline").read_text()
        for secret in secrets:
            check(secret not in command_line, secret, "in", command_line)
        if order is args:
            equal(command_line.strip("\0").split("\0"), [str(args[0]), "server"])
        [etcd] = server.etcd_pids()
        for file in ("cmdline", "environ"):
            for secret in secrets:
                check(secret not in pathlib.Path(f"/proc/{etcd}/{file}").read_text(), secret, "in etcd's", file)
        server.stop()
    server.start(env={"HOLDFAST_TOKEN": "server-secret-4711"})
    outputs = [server.snapshot("save", "--debug", "--etcd-token=server-secret-4711"),
               server.snapshot("save", "--debug", f"--etcd-token={server.token}"),
               server.snapshot("ls", "--debug", "--etcd-token=agent-secret-0815"),
               server.snapshot("ls", "--debug", "--etcd-token=K10" + "0" * 64 + "::server:server-secret-4711"),
               server.snapshot("ls", "-o", "json"), server.snapshot("ls", "-o", "yaml"),
               server.snapshot("ls", "--debug", "--etcd-tokem=server-secret-4711")]
    equal([o.code for o in outputs], [0, 0, 4, 4, 0, 0, 2])
    server.get("/db/info", password="agent-secret-0815")
    server.stop()
    log = server.log_text()
    for secret in secrets:
        check(secret not in log, secret, "in the log")
        for output in outputs:
            check(secret not in output.out + output.err, secret, "in", output)
    allowed = {"server/token", "server/agent-token", "server/node-token", "server/cred/passwd"}
    private = (server.server_dir / "tls/server-ca.key").read_text().splitlines()[1].encode()
    for path in server.data_dir.rglob("*"):
        name = str(path.relative_to(server.data_dir))
        if not path.is_file() or path.is_symlink():
            continue
        content, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
        check(mode & 0o077 == 0 or name.endswith(".crt"), "others may read", name, oct(mode))
        for secret in secrets:
            check(name in allowed or secret.encode() not in content, secret, "in", name)
        check(name.endswith(".key") or private not in content, "a private key in", name)
