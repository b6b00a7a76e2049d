"""`holdfast etcd-snapshot`: what it prints, in which form, and with which exit code; with the server and without."""
import fcntl
import json
import os
import pathlib
import pty
import re
import struct
import subprocess
import termios
import time

from harness import BIN, check, contains, equal, tree, wait_for
from probe import StalledSave, fill_for_stall, metrics, mode, parts

BERLIN = {"TZ": "Europe/Berlin"}


def messages(result):
    """[(level, message)] of stderr, unquoted."""
    found = re.findall(r'^time="[^"]*" level=(\w+) msg="?(.*?)"?$', result.err, re.M)
    return [(level, text.replace('\\"', '"')) for level, text in found]


def put_file(directory, name, content=b"12345", at=1_700_000_000):
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(content)
    os.utime(path, (at, at))
    return path


def test_the_list_in_every_form(bench):
    server = bench.server().start()
    equal(server.snapshot("ls").out, "Name Location Size Created\n")
    equal(json.loads(server.snapshot("ls", "-o", "json").out)["items"], [])
    contains(server.snapshot("ls", "-o", "yaml").out, "items: []\n")
    # Times stand in names, else it is the file's; order is by time, then name.
    put_file(server.snapshots, "on-demand-node-1-1753178600.zip", b"z" * 1234)
    put_file(server.snapshots, "etcd-snapshot-node-1-1753178523", b"")
    put_file(server.snapshots, "etcd-snapshot-node-1-1753178600", b"e" * 77)
    put_file(server.snapshots, "by hand.db", b"x", at=1_700_000_000)
    for ignored in ("etcd-snapshot-node-1-1753178999.part", ".hidden"):
        put_file(server.snapshots, ignored)
    (server.snapshots / "directory-1753178500").mkdir()
    (server.snapshots / "link-1753178501").symlink_to("/etc/passwd")

    d = server.snapshots
    table = (f"Name                            Location{' ' * (len(str(d)) + 31)} Size Created\n"
             f"by hand.db                      file://{d}/by hand.db                      1    2023-11-14T23:13:20+01:00\n"
             f"etcd-snapshot-node-1-1753178523 file://{d}/etcd-snapshot-node-1-1753178523 0    2025-07-22T12:02:03+02:00\n"
             f"etcd-snapshot-node-1-1753178600 file://{d}/etcd-snapshot-node-1-1753178600 77   2025-07-22T12:03:20+02:00\n"
             f"on-demand-node-1-1753178600.zip file://{d}/on-demand-node-1-1753178600.zip 1234 2025-07-22T12:03:20+02:00\n")
    item = '''        {
            "kind": "ETCDSnapshotFile",
            "apiVersion": "k3s.cattle.io/v1",
            "metadata": {
                "name": "local-%s",
                "labels": {
                    "etcd.holdfast.io/snapshot-storage-node": "node-1"
                }
            },
            "spec": {
                "snapshotName": "%s",
                "nodeName": "node-1",
                "location": "file://%s/%s"
            },
            "status": {
                "size": "%d",
                "creationTime": "%s",
                "readyToUse": true
            }
        }'''
    rows = [("by hand.db", 1, "2023-11-14T22:13:20Z"), ("etcd-snapshot-node-1-1753178523", 0, "2025-07-22T10:02:03Z"),
            ("etcd-snapshot-node-1-1753178600", 77, "2025-07-22T10:03:20Z"), ("on-demand-node-1-1753178600.zip", 1234, "2025-07-22T10:03:20Z")]
    as_json = ('{\n    "kind": "List",\n    "apiVersion": "v1",\n    "metadata": {},\n    "items": [\n'
               + ",\n".join(item % (name.replace(" ", "_"), name, d, name, size, at) for name, size, at in rows) + "\n    ]\n}\n")
    as_yaml = f'''apiVersion: v1
items:
  - apiVersion: k3s.cattle.io/v1
    kind: ETCDSnapshotFile
    metadata:
      labels:
        etcd.holdfast.io/snapshot-storage-node: node-1
      name: local-by_hand.db
    spec:
      location: file://{d}/by hand.db
      nodeName: node-1
      snapshotName: by hand.db
    status:
      creationTime: "2023-11-14T22:13:20Z"
      readyToUse: true
      size: "1"
'''
    for running in (True, False):
        if not running:
            server.stop()
        for words in (("ls",), ("list",), ("l",), ("ls", "-o", "table"), ("ls", "--output=table")):
            result = server.snapshot(*words, env=BERLIN)
            equal(result.out, table, words)
            equal(result.err == "", running, result)
        equal(server.snapshot("ls", "-o", "json", "--node-name=node-1", env=BERLIN).out, as_json)
        check(server.snapshot("ls", "-o=yaml", "--node-name=node-1").out.startswith(as_yaml), server.snapshot("ls", "-o=yaml").out)
    for output in ("xml", "", "JSON"):
        result = server.snapshot("ls", "-o", output)
        equal((result.code, messages(result)), (2, [("fatal", f"Error: invalid output format: {output}")]))


def test_a_snapshot_of_ours_in_the_list(bench):
    server = bench.server().start()
    server.fill(10)
    snapshot = server.save("--snapshot-compress")
    [item] = json.loads(server.snapshot("ls", "-o", "json").out)["items"]
    equal(item["status"]["size"], str(snapshot.stat().st_size))
    equal(item["status"]["readyToUse"], True)
    check("error" not in item["status"], item)
    metadata = item["spec"]["metadata"]
    check(all(isinstance(value, str) for value in metadata.values()), "RKE2 reads a map of strings", metadata)
    equal(json.loads((server.db / ".metadata" / snapshot.name).read_text()), metadata)
    contains(json.dumps(metadata), str(server.revision()))
    status = json.loads(bench.ok(BIN, "etcd-snapshot", "status", snapshot, "-o", "json").out)
    equal((status["digest"], status["compression"], status["revision"]), ("verified", "zip", server.revision()))
    # Size and time in the table are the same things; the annotation says which token belongs to it.
    row = server.snapshot("ls", env={"TZ": "UTC"}).out.splitlines()[1].split()
    equal(row, [snapshot.name, f"file://{snapshot}", item["status"]["size"], item["status"]["creationTime"]])
    equal(item["metadata"]["annotations"]["etcd.holdfast.io/snapshot-token-hash"], status["tokenHashes"][0])
    server.stop()


def test_without_the_server(bench):
    server = bench.server().start()
    for _ in range(3):
        server.save()
    server.save("--name=other")
    names = server.names()
    server.stop()

    down = f"No server answers at https://127.0.0.1:{server.supervisor_port}; working on {server.snapshots} directly"
    result = server.snapshot("ls")
    equal((result.code, messages(result)), (0, [("info", down)]))
    equal([line.split()[0] for line in result.out.splitlines()[1:]], names)
    result = server.snapshot("prune", "--snapshot-retention=2")
    equal(result.code, 0)
    equal([m for m in messages(result) if "deleted." in m[1]], [("info", f"Snapshot {names[0]} deleted.")])
    equal(messages(result)[0], ("info", down))
    result = server.snapshot("delete", names[1], names[0])
    equal(result.code, 0)
    equal([m for m in messages(result) if m[1].startswith("Snapshot")],
          [("info", f"Snapshot {names[1]} deleted."), ("warning", f"Snapshot {names[0]} not found.")])
    equal(sorted(p.name for p in server.snapshots.iterdir()), sorted(names[2:]))
    equal(sorted(p.name for p in (server.db / ".metadata").iterdir()), sorted(names[2:]), "their metadata went with them")

    result = server.snapshot("save")
    equal(result.code, 5)
    contains(messages(result)[0][1], f"https://127.0.0.1:{server.supervisor_port}/")
    contains(messages(result)[1][1], "The server must be running to take a snapshot.")
    # A server that holds the data but does not answer: nobody changes anything behind its back.
    with open(server.server_dir / "lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for words in (("prune", "--snapshot-retention=1"), ("delete", names[2])):
            result = server.snapshot(*words)
            equal(result.code, 6, result)
            contains(messages(result)[-1][1], f"a server runs on {server.data_dir} but does not answer")
        equal(len(server.snapshot("ls").out.splitlines()), 3)
    # Where there never was a server, nothing is made.
    nowhere = {"HOLDFAST_DATA_DIR": str(bench.dir / "never")}
    equal(server.snapshot("ls", env=nowhere).out, "Name Location Size Created\n")
    equal(server.snapshot("prune", env=nowhere).code, 0)
    equal(server.snapshot("delete", "x", env=nowhere).code, 0)
    check(not (bench.dir / "never").exists(), "something was made")


def test_delete_says_what_it_did(bench):
    server = bench.server().start()
    server.save()
    server.save("--name=keep")
    outside = put_file(bench.dir, "outside-1753178523")
    [first, second] = server.names()
    for running in (True, False):
        if not running:
            server.stop()
        result = server.snapshot("delete", "never-was-1")
        equal((result.code, [m for m in messages(result) if m[0] != "info"]), (0, [("warning", "Snapshot never-was-1 not found.")]))
        state = tree(server.data_dir / "server/db/snapshots")
        for bad in ("../snapshots/" + first, "/etc/passwd", f"{outside}", "..", ".", "a/b", "", "x\ny"):
            # One bad name, and nothing is deleted at all.
            result = server.snapshot("delete", second, bad)
            equal(result.code, 2, repr(bad), result)
            contains(messages(result)[-2][1], "is not the name of a snapshot file: path separators are not allowed")
        equal(tree(server.data_dir / "server/db/snapshots"), state)
        result = server.snapshot("delete")
        equal((result.code, messages(result)[-1]), (2, ("fatal", "Error: no snapshots given for removal")))
        # Flags may stand behind names.
        result = server.snapshot("delete", first if running else second, "--debug")
        equal(result.code, 0)
        contains(result.err, f"Snapshot {first if running else second} deleted.")
    check(outside.exists(), "outside")
    equal(list(server.snapshots.iterdir()), [])


def test_unfinished_files(bench):
    server = bench.server().start()
    good = server.save()
    server.stop()
    # What a killed server of this node leaves behind; and what is none of ours, or another node's on shared storage.
    ours = [put_file(server.snapshots, f"etcd-snapshot-node-1-1753178523{suffix}") for suffix in (".part", ".zip.part", ".zst.part")]
    ours.append(put_file(server.db / ".metadata", "etcd-snapshot-node-1-1753178523.part"))
    foreign = [put_file(server.snapshots, name) for name in ("etcd-snapshot-node-2-1753178523.part", "a download.part")]
    equal(server.names(), [good.name])
    equal(server.snapshot("prune", "--name=etcd-snapshot", "--snapshot-retention=1").code, 0)
    server.start()
    wait_for(lambda: not any(p.exists() for p in ours), "the leftovers to go")
    for path in ours:
        # Said when all are gone.
        wait_for(lambda: f"removed {path.name}, left unfinished by an interrupted snapshot" in server.log_text(), f"the log to name {path}")
    check(all(p.exists() for p in foreign), "foreign files are gone")
    equal(server.names(), [good.name])
    wait_for(lambda: metrics(server)["holdfast_etcd_snapshot_count"] == 1, "the count of what is left")
    server.stop()


def test_prune(bench):
    server = bench.server().start("--etcd-snapshot-retention=3")
    for i in range(4):
        server.save()
        server.save("--name=etcd-snapshot")
    server.save("--name=etcd-snapshot-x")
    # Foreign files count only for this node's own name.
    put_file(server.snapshots, "etcd-snapshot-node-1-1500000000")
    put_file(server.snapshots, "etcd-snapshot-node-2-1500000001")
    put_file(server.snapshots, "etcd-snapshot-1500000002")
    put_file(server.snapshots, "on-demandish-node-1-1500000003")

    def pruned(*flags):
        result = server.snapshot("prune", *flags)
        equal(result.code, 0, result)
        return [text.split()[1] for level, text in messages(result) if text.endswith(" deleted.")]

    before = server.names()
    on_demand = [n for n in before if n.startswith("on-demand-node-1-")]
    scheduled = [n for n in before if n.startswith("etcd-snapshot-node-1-")]
    equal(pruned(), on_demand[:1], "on-demand ones, by the server's retention")
    equal(pruned(), [])
    equal(pruned("--name", "etcd-snapshot"), scheduled[:2], "the foreign one is the oldest")
    equal(pruned("--name=on-demand", "--snapshot-retention=1"), on_demand[1:3])
    for unlimited in ("0", "-1"):
        equal(pruned("--name=etcd-snapshot", f"--etcd-snapshot-retention={unlimited}"), [])
    left = server.names()
    for name in ("etcd-snapshot-node-2-1500000001", "etcd-snapshot-1500000002", "on-demandish-node-1-1500000003"):
        check(name in left, name, "was pruned")
    equal(len([n for n in left if n.startswith("etcd-snapshot-x-node-1-")]), 1)
    equal(pruned("--name=no-such-base"), [])
    for words in (["prune", "what"], ["prune", "--name=a/b"], ["prune", "--name="], ["save", "now"]):
        equal(server.snapshot(*words).code, 2, words)
    server.stop()


def test_names_of_all_kinds(bench):
    server = bench.server().start()
    bases = ["with blanks in it", "schöne Grüße", "名前", "a.b_c@d+e", "-leading", "quote\"d", "percent%41", "x" * 180, "100", "yes"]
    for base in bases:
        result = server.snapshot("save", f"--name={base}")
        equal(result.code, 0, base, result)
    saved = server.names()
    equal(sorted(name.rsplit("-node-1-", 1)[0] for name in saved), sorted(bases))
    rows = server.snapshot("ls", env={"TZ": "UTC"}).out.splitlines()
    columns = {row.index("file://") for row in rows[1:]}
    equal(columns, {rows[0].index("Location")}, "columns stand below each other")
    # What YAML readers make of it is what it was.
    text = server.snapshot("ls", "-o", "yaml").out
    for name in saved:
        check(any(line.strip() in (f"snapshotName: {name}", f"snapshotName: {json.dumps(name, ensure_ascii=False)}", f"snapshotName: '{name}'")
                  for line in text.splitlines()), name, "not in", text)
    check(all(re.fullmatch(r"local-[-._a-zA-Z0-9]+", item["metadata"]["name"])
              for item in json.loads(server.snapshot("ls", "-o", "json").out)["items"]), "names of resources")
    result = server.snapshot("delete", *[n for n in saved if not n.startswith("-")], "--", *[n for n in saved if n.startswith("-")])
    equal(result.code, 0, result)
    equal(server.names(), [])
    for bad in ("", ".", "..", ".hidden", "a/b", "/etc/x", "new\nline", "x" * 256):
        result = server.snapshot("save", f"--name={bad}")
        equal(result.code, 2, repr(bad), result)
    equal(list(server.snapshots.iterdir()), [])
    server.stop()


def test_snapshot_directories_that_will_not_do(bench):
    server = bench.server().start()
    a_file = put_file(bench.dir, "file")
    missing = bench.dir / "missing"
    for running in (True, False):
        if not running:
            server.stop()
        for words in (["save"], ["ls"], ["prune"], ["delete", "x"]):
            if words == ["save"] and not running:
                continue
            result = server.snapshot(*words, f"--dir={missing}")
            equal(result.code, 1, words, result)
            contains(result.err, f"failed to get etcd-snapshot-dir: stat {missing}: no such file or directory")
            result = server.snapshot(*words, f"--etcd-snapshot-dir={a_file}")
            equal(result.code, 1, words, result)
            contains(result.err, f"{a_file} is not a directory")
    check(not missing.exists(), "it was made")
    # A relative one is the caller's, not the server's.
    server.start()
    (bench.dir / "here").mkdir()
    equal(server.snapshot("save", "--dir=here", cwd=bench.dir).code, 0)
    equal(len(list((bench.dir / "here").iterdir())), 1)
    equal(len(server.snapshot("ls", "--dir=here").out.splitlines()), 2)
    server.stop()
    # The server's own: said at its start, not only when the first snapshot is due.
    server.start(f"--etcd-snapshot-dir={missing}")
    wait_for(lambda: f"failed to get etcd-snapshot-dir: stat {missing}" in server.log_text(), "the log to say it")
    equal(server.snapshot("save").code, 1)
    missing.mkdir()
    snapshot = missing / server.save().name
    equal(mode(snapshot), "0o600")
    equal(mode(bench.dir / ".metadata"), "0o700")
    check((bench.dir / ".metadata" / snapshot.name).exists(), "metadata beside the custom directory")
    server.stop()


def test_which_server_is_asked(bench):
    server, other = bench.server().start(), bench.server("other").start()
    url = f"https://127.0.0.1:{server.supervisor_port}"
    nothing = {"HOLDFAST_DATA_DIR": str(bench.dir / "nothing"), "HOLDFAST_SUPERVISOR_PORT": str(bench.port())}
    server.save()
    # The full token, or its password alone.
    for token in (server.token, server.password):
        for u in (url, url + "/", f"https://localhost:{server.supervisor_port}"):
            result = server.snapshot("ls", f"--etcd-server={u}", f"--etcd-token={token}", env=nothing)
            equal((result.code, len(result.out.splitlines())), (0, 2), u, result)
    equal(server.snapshot("ls", "-s", url, "-t", server.token, env=nothing).code, 0)
    # A proxy for the outside world is not for a server on this host.
    proxies = {name: "http://127.0.0.1:1" for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY")}
    equal(server.snapshot("save", env=proxies).code, 0)

    result = server.snapshot("ls", f"--etcd-server={url}", f"--etcd-token={other.token}", env=nothing)
    equal(result.code, 4, result)
    contains(result.err, f"token CA hash does not match the Cluster CA certificate hash: {other.token[3:67]} != {server.token[3:67]}")
    result = server.snapshot("ls", f"--etcd-server={url}", "--etcd-token=wrong", env=nothing)
    equal(result.code, 4, result)
    for bad, words in (("", "token must not be empty"), ("K10abc::server:x", "invalid token CA hash length"),
                       ("abcdef.0123456789abcdef", "failed to normalize")):
        result = server.snapshot("ls", f"--etcd-server={url}", f"--etcd-token={bad}", env=nothing)
        equal(result.code, 2, bad, result)
        contains(result.err, words)
    result = server.snapshot("ls", f"--etcd-server={url}", env=nothing)
    equal(result.code, 1, result)
    contains(result.err, "server token: ")
    contains(result.err, "Give it with --etcd-token")
    # Asked for by name it must be there: no falling back on local files.
    for words in (["ls"], ["prune"], ["delete", "x"], ["save"]):
        result = server.snapshot(*words, f"--etcd-server=https://127.0.0.1:{bench.port()}")
        equal(result.code, 5, words, result)
        check("directly" not in result.err, result)
    for bad in ("http://127.0.0.1:9345", "127.0.0.1:9345", "ftp://x"):
        result = server.snapshot("ls", f"--etcd-server={bad}")
        equal(result.code, 2, bad, result)
        contains(result.err, f"only https:// URLs are supported, invalid scheme: {bad}")
    other.stop()
    server.stop()


def on_terminal(server, columns, *argv):
    """Starts the program with stderr on a terminal of that width; returns the process and the terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([server.program, *argv], stderr=theirs, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               env={**os.environ, **server.env})
    os.close(theirs)
    return process, ours


def read_terminal(terminal):
    out = b""
    try:
        while piece := os.read(terminal, 65536):
            out += piece
    except OSError:  # the other side is closed
        pass
    os.close(terminal)
    return out.decode()


def test_progress_on_a_terminal(bench):
    server = bench.server().start()
    fill_for_stall(server)
    for columns in (100, 30):
        save = StalledSave(server, lambda: on_terminal(server, columns, "etcd-snapshot", "save"))
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() > begun + 0.2, "a bar to be worth drawing")
        save.release()
        process, terminal = save.started
        text = read_terminal(terminal)
        equal(process.wait(60), 0, text)
        drawn = text.split("\r\x1b[K")
        check(len(drawn) >= 3, "no bar in", repr(text))
        for bar in drawn[1:-1]:
            check(len(bar) < columns, "too wide for", columns, repr(bar))
            check(("[" in bar and "%" in bar) == (columns == 100), repr(bar))
            contains(bar, "MB")
        # The bar is wiped, and what stays is the result in the short form.
        check(re.fullmatch(r"INFO\[\d{4}\] Snapshot on-demand-node-1-\d+ saved\.\r\n", drawn[-1]), repr(drawn[-1]))
    # Elsewhere: the result only.
    result = server.snapshot("save")
    equal([text.split()[0] for _, text in messages(result)], ["Snapshot"])
    check("\x1b" not in result.err and "\r" not in result.err, repr(result.err))
    process, terminal = on_terminal(server, 80, "etcd-snapshot", "delete", "x")
    text = read_terminal(terminal)
    check(re.fullmatch(r"WARN\[\d{4}\] Snapshot x not found\.\r\n", text), repr(text))  # the seconds that it took
    process.wait()
    server.stop()
    process, terminal = on_terminal(server, 80, "etcd-snapshot", "save")
    text = read_terminal(terminal)
    check(re.match(r"FATA\[\d{4}\] Error: ", text), repr(text))
    equal(process.wait(), 5)


def test_logs_to_a_file(bench):
    server = bench.server().start()
    log = bench.dir / "a log"
    result = server.snapshot("save", f"--log={log}")
    equal((result.code, result.err), (0, ""))
    contains(log.read_text(), " saved.")
    result = server.snapshot("save", "-l", log, "--alsologtostderr")
    contains(result.err, " saved.")
    equal(log.read_text().count(" saved."), 2)
    result = server.snapshot("save", f"--log={bench.dir}")
    equal(result.code, 1, result)
    contains(result.err, f"open log file {bench.dir}")
    server.stop()


def test_exit_codes(bench):
    server = bench.server().start()
    good = server.save()
    content = bytearray(good.read_bytes())
    content[5000] ^= 1
    damaged = put_file(bench.dir, "damaged", bytes(content))
    cut = put_file(bench.dir, "cut", good.read_bytes()[:-100])
    a_file = put_file(bench.dir, "a-file")
    table = [(0, ["etcd-snapshot", "ls"]), (0, ["etcd-snapshot", "delete", "not-there"]), (0, ["etcd-snapshot", "status", good]),
             (1, ["etcd-snapshot", "save", "--dir=/nowhere"]), (1, ["etcd-snapshot", "status", "/nowhere"]),
             (1, ["restore", good, f"--data-dir={a_file}"]), (2, ["etcd-snapshot", "save", "--nmae=x"]), (2, ["nonsense"]),
             (2, ["etcd-snapshot", "ls", "-o", "xml"]), (2, ["etcd-snapshot", "status"]), (2, ["restore", good]),
             (3, ["etcd-snapshot", "status", damaged]), (3, ["etcd-snapshot", "status", cut]),
             (3, ["restore", damaged, f"--data-dir={bench.dir}/out"]), (4, ["etcd-snapshot", "ls", "--etcd-token=wrong"]),
             (5, ["etcd-snapshot", "ls", f"--etcd-server=https://127.0.0.1:{bench.port()}"]), (6, server.server_args()[1:])]
    for code, argv in table:
        result = server.holdfast(*argv)
        equal(result.code, code, argv, result)
        # A failure is one fatal line, and perhaps a hint; success has none.
        equal(len([m for m in messages(result) if m[0] == "fatal"]), 1 if code else 0, result)
    check(not (bench.dir / "out").exists(), "a damaged snapshot was restored")
    # What cannot be printed is a failure, not a success.
    result = bench.run("sh", "-c", f"{BIN} etcd-snapshot ls -o json >/dev/full", env=server.env)
    equal(result.code, 1, result)
    server.stop()
