"""The supervisor's HTTPS: who may do what, limits, hostile peers, and what a save tells while it runs."""
import json
import os
import signal
import socket
import threading
import time

from harness import check, contains, equal, wait_for
from probe import StalledSave, connect, descriptors, fill_for_stall, metrics, parts, read_all, read_answer, wait_for_new_etcd

SAVE = {"operation": "save", "name": ["api"]}


def post(server, body, **options):
    options.setdefault("password", server.password)
    return server.request("POST", "/db/snapshot", body=body if isinstance(body, str) else json.dumps(body), **options)


def basic(user, password):
    import base64
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode() + "\r\n"


def raw_post(server, body, *headers):
    body = json.dumps(body)
    return (f"POST /db/snapshot HTTP/1.1\r\nHost: x\r\n{basic('server', server.password)}Content-Type: application/json\r\n"
            + "".join(h + "\r\n" for h in headers) + f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def test_who_may_call_what(bench):
    server = bench.server().start("--agent-token=for-agents")
    nobody, wrong = {}, {"password": "wrong"}
    agent, ours = {"user": "node", "password": "for-agents"}, {"password": server.password}
    table = [
        ("GET", "/cacerts", (200, 200, 200, 200)), ("GET", "/ping", (200, 200, 200, 200)), ("GET", "/readyz", (200, 200, 200, 200)),
        ("GET", "/livez", (200, 200, 200, 200)), ("GET", "/metrics", (401, 401, 200, 200)), ("GET", "/db/info", (401, 401, 403, 200)),
        ("GET", "/v1-holdfast/lineage", (200, 200, 200, 200)),
        ("POST", "/db/snapshot", (401, 401, 403, 400)),  # 400: there is no body
        ("GET", "/db/snapshot", (405, 405, 405, 405)), ("PUT", "/db/snapshot", (405, 405, 405, 405)), ("POST", "/ping", (405, 405, 405, 405)),
        ("GET", "/", (404, 404, 404, 404)), ("GET", "/db/info/", (404, 404, 404, 404)), ("GET", "//db/info", (404, 404, 404, 404)),
        ("GET", "/db/../db/info", (404, 404, 404, 404)), ("GET", "/v1-rke2/server-bootstrap", (404, 404, 404, 404)),
        ("GET", "/ping?a=b", (200, 200, 200, 200))]
    for method, path, expected in table:
        found = tuple(server.request(method, path, **who)[0] for who in (nobody, wrong, agent, ours))
        equal(found, expected, method, path)
    # Names and passwords belong together.
    for user, password in (("server", "for-agents"), ("node", server.password), ("", server.password), ("root", server.password),
                           ("server", ""), ("server", server.password + "x"), ("server", server.token)):
        equal(server.get("/db/info", user=user, password=password)[0], 401, user)
    for header in ("Basic", "Basic !!!", "Basic c2VydmVy", f"Bearer {server.password}", "x" * 5000):
        equal(server.get("/db/info", headers={"Authorization": header})[0], 401, header[:20])

    equal(server.get("/cacerts")[1], (server.server_dir / "tls/server-ca.crt").read_text())
    equal(server.get("/ping")[1], "pong")
    equal(server.get("/readyz")[1], "ok")
    info = json.loads(server.get("/db/info", **ours)[1])
    [member] = info["members"]
    equal(member["name"], (server.db / "etcd/name").read_text())
    check(isinstance(member["ID"], int) and member["peerURLs"][0].startswith("https://127.0.0.1:"), member)
    equal(member["clientURLs"], [f"https://127.0.0.1:{server.client_port}"])
    lineage = json.loads(server.get("/v1-holdfast/lineage")[1])
    equal(lineage, {"members": [{"ID": member["ID"]}], "clusterID": info["clusterID"]})  # ids, and nothing else
    error = json.loads(server.get("/db/info", **agent)[1])
    equal((error["kind"], error["apiVersion"], error["status"], error["code"], error["reason"]),
          ("Status", "v1", "Failure", 403, "Forbidden"))
    with connect(server) as c:
        c.sendall(b"GET /db/snapshot HTTP/1.1\r\nHost: x\r\n\r\nGET /db/info HTTP/1.1\r\nHost: x\r\n\r\n")
        equal(read_answer(c)[1].get("allow"), "POST")
    server.stop()


def test_calls_that_make_no_sense(bench):
    server = bench.server().start()
    for body, words in (("", "not a JSON object"), ("[]", "not a JSON object"), ("{", "not a JSON object"), ("{}", "operation"),
                        ({"operation": "fly"}, 'operation "fly" is not one of save, list, prune, delete'),
                        ({"operation": 7}, "operation"), ({"operation": "delete"}, "no snapshots given for removal"),
                        ({"operation": "delete", "name": ["../../token"]}, "path separators are not allowed"),
                        ({"operation": "delete", "name": [".."]}, "not the name of a snapshot"),
                        ({"operation": "save", "name": ["a/b"]}, "must not contain path separators"),
                        ({"operation": "save", "name": ["x" * 300]}, "too long"),
                        ({"operation": "save", "compress": "yes"}, "neither true nor false"),
                        ({"operation": "save", "compression": "lzma"}, "is not one of none, zip, zstd"),
                        ({"operation": "prune", "retention": "5"}, "not a whole number"),
                        ({"operation": "prune", "retention": 5.5}, "not a whole number"),
                        ({"operation": "list", "dir": 5}, "not a string"), ("[" * 100000, "not a JSON object"),
                        ({**SAVE, "s3": {"bucket": "b", "timeout": "0s"}}, "failed to initialize S3 client: "),
                        ({"operation": "list", "s3": {}}, "failed to initialize S3 client: ")):
        code, text = post(server, body)
        equal(code, 400, str(body)[:80], text)
        error = json.loads(text)
        contains(error["message"], words)
    equal(server.names(), [])
    # A directory that is not there: the spec's words, and nothing is made.
    code, text = post(server, {**SAVE, "dir": f"{bench.dir}/not-there"})
    check(code >= 400, text)
    contains(json.loads(text)["message"], f"failed to get etcd-snapshot-dir: stat {bench.dir}/not-there")
    check(not (bench.dir / "not-there").exists(), "it was made")
    server.stop()


def test_bodies_as_rke2_sends_them(bench):
    server = bench.server().start("--etcd-snapshot-retention=2")
    code, text = post(server, {"operation": "save", "name": ["on-demand"], "dir": None, "compress": None, "retention": None, "s3": None})
    equal(code, 200, text)
    [name] = json.loads(text)["created"]
    equal(set(json.loads(text)), {"created"})
    check(name.startswith("on-demand-node-1-"), name)
    equal(json.loads(post(server, {"operation": "save", "name": [], "retention": 0})[1])["created"][0][:16], "on-demand-node-1")
    [zipped] = json.loads(post(server, {"operation": "save", "name": ["on-demand"], "compress": True, "retention": 0})[1])["created"]
    check(zipped.endswith(".zip"), zipped)
    other = bench.dir / "other place"
    other.mkdir()
    [elsewhere] = json.loads(post(server, {"operation": "save", "name": ["on-demand"], "dir": str(other), "compress": False})[1])["created"]
    check((other / elsewhere).exists(), elsewhere)
    equal(post(server, {"operation": "list", "name": None, "dir": ""})[0], 200)

    code, text = post(server, {"operation": "list", "dir": None, "s3": None})
    listed = json.loads(text)
    equal((listed["kind"], listed["apiVersion"], listed["metadata"]), ("List", "v1", {}))
    equal(len(listed["items"]), 3)
    [in_other] = json.loads(post(server, {"operation": "list", "dir": str(other)})[1])["items"]
    equal(in_other["spec"]["location"], f"file://{other}/{elsewhere}")

    # The server's retention holds where the call says nothing.
    equal(len(json.loads(post(server, {"operation": "prune", "name": ["on-demand"], "retention": None})[1])["deleted"]), 1)
    [looked] = json.loads(post(server, {"operation": "prune", "name": ["on-demand"]})[1])["considered"]
    equal(looked, {"place": f"file://{server.snapshots}", "count": 2, "limit": 2})
    equal(len(json.loads(post(server, {"operation": "prune", "name": ["on-demand"], "retention": 1})[1])["deleted"]), 1)
    check("deleted" not in json.loads(post(server, {"operation": "prune", "name": ["on-demand"], "retention": 0})[1]))
    equal(json.loads(post(server, {"operation": "delete", "name": [zipped, "was-never-here"]})[1]), {"deleted": [zipped]})
    equal(server.names(), [])
    server.stop()


def test_what_is_too_large_is_refused_and_said(bench):
    server = bench.server().start()
    auth = basic("server", server.password)
    # The peer has sent much that nobody reads: it gets the answer all the same, not a broken connection.
    for _ in range(5):
        equal(post(server, "x" * 2_000_000)[0], 413)
    with connect(server) as c:
        c.sendall(f"POST /db/snapshot HTTP/1.1\r\nHost: x\r\n{auth}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"y" * 65536 + b"\r\n"
        for _ in range(32):
            c.sendall(chunk)
        equal(read_answer(c)[0], 413)
    equal(post(server, "", headers={f"X-{i}": "v" * 1000 for i in range(60)})[0], 431)
    with connect(server) as c:
        c.sendall(b"GET /" + b"p" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        equal(read_answer(c)[0], 431)
    # Large, and within the limits.
    equal(post(server, {"operation": "list", "padding": "x" * 1_000_000})[0], 200)
    equal(server.get("/ping", headers={"X-Long": "v" * 12_000})[0], 200)
    # A length that is announced and never comes is dropped before it costs memory; the others are served.
    with connect(server) as c:
        c.sendall(f"POST /db/snapshot HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: 18446744073709551615\r\n\r\n".encode())
        equal(read_answer(c)[0], 413)
    server.stop()


def test_garbage_is_survived(bench):
    server = bench.server().start()
    for garbage in (b"\x00\x01\x02\xff\xfe\r\n\r\n", b"hello\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 100,
                    b"GET / HTTP/1.1\r\nHost\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                    b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"POST / HTTP/1.1\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", os.urandom(20_000)):
        with connect(server) as c:
            c.sendall(garbage)
            c.settimeout(60)
            answer = read_all(c)
            check(not answer or answer.startswith(b"HTTP/1.1 4"), garbage[:40], answer[:200])
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"\x16\x03\x01\xff\xff" + b"\xff" * 70_000,
                    os.urandom(20_000), b""):
        with connect(server, tls=False) as c:
            c.settimeout(60)
            try:
                c.sendall(garbage)
                c.shutdown(socket.SHUT_WR)
            except OSError:  # it has closed already
                pass
            read_all(c)
    equal(server.get("/ping")[0], 200)
    equal([line for line in server.log_text().splitlines() if "level=info" not in line], [], "what a peer can make the log say")
    server.stop()


def test_slow_peers_do_not_keep_others_out(bench):
    server = bench.server().start()
    end = threading.Event()
    slow = [connect(server, tls=False) for _ in range(600)]  # more than the server takes
    half = [connect(server) for _ in range(30)]

    def trickle():
        request = b"POST /db/snapshot HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nX: " + b"y" * 10_000
        for byte in request:
            for c in half:
                try:
                    c.sendall(bytes([byte]))
                except OSError:
                    pass
            if end.wait(0.05):
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        for _ in range(10):
            start = time.monotonic()
            equal(server.get("/readyz")[0], 200)
            equal(server.get("/db/info", password=server.password)[0], 200)
            check(time.monotonic() - start < 10, "two requests took", time.monotonic() - start)
        server.save()
        # New connections keep coming, too.
        slow += [connect(server, tls=False) for _ in range(100)]
        equal(server.get("/readyz")[0], 200)
    finally:
        end.set()
        thread.join()
        for c in slow + half:
            c.close()
    start = time.monotonic()
    server.stop()
    check(time.monotonic() - start < 20, "stopping took", time.monotonic() - start)


def test_connections_are_used_again(bench):
    server = bench.server().start()
    get = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(server) as c:
        for _ in range(50):
            c.sendall(get)
            equal(read_answer(c)[2], b"pong")
        # Requests that come in a bunch are answered in their order.
        c.sendall(get + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" + raw_post(server, {"operation": "list"}) + get)
        end = time.monotonic() + 60
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 4 or not answers.endswith(b"pong"):
            answers += c.recv(65536)
            check(time.monotonic() < end, answers)
        equal([part.split()[0] for part in answers.split(b"HTTP/1.1 ")[1:]], [b"200", b"404", b"200", b"200"])
    for request in (b"GET /ping HTTP/1.0\r\n\r\n", b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        with connect(server) as c:
            c.sendall(request)
            check(read_all(c).endswith(b"\r\n\r\npong"), request)
    # curl keeps its connection, and does not wait long for the 100 that it asks for.
    body = bench.dir / "body"
    body.write_text(json.dumps({"operation": "list", "padding": "x" * 500_000}))
    url = f"https://127.0.0.1:{server.supervisor_port}"
    result = bench.ok("curl", "-sSkv", "--fail-with-body", "-u", f"server:{server.password}", "-H", "Content-Type: application/json",
                      "-H", "Expect: 100-continue", "--data-binary", f"@{body}", f"{url}/db/snapshot", f"{url}/db/snapshot")
    contains(result.err, "Re-using existing connection")
    server.stop()


def test_a_save_tells_its_progress_as_lines(bench):
    server = bench.server().start()
    fill_for_stall(server)
    code, text = post(server, SAVE, headers={"Accept": "application/x-ndjson"})
    equal(code, 200)
    lines = [json.loads(line) for line in text.splitlines()]
    progress, last = [line["progress"] for line in lines[:-1]], lines[-1]
    [name] = last["result"]["created"]
    size = (server.snapshots / name).stat().st_size
    check(progress, "no progress in", text)
    equal({p["total"] for p in progress}, {size})
    equal(sorted(p["done"] for p in progress), [p["done"] for p in progress])
    # What fails before the first line has its code.
    code, text = post(server, {"operation": "save", "name": ["a/b"]}, headers={"Accept": "application/x-ndjson"})
    equal((code, json.loads(text)["code"]), (400, 400))
    # HTTP/1.0 knows no chunks: it gets the answer in one piece.
    with connect(server, timeout=120) as c:
        request = raw_post(server, {"operation": "save", "name": ["old"]}, "Accept: application/x-ndjson")
        c.sendall(request.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        answer = read_all(c)
        check(b"chunked" not in answer.lower() and b'"created":["old-node-1-' in answer, answer)
    server.stop()


def test_a_save_goes_on_without_its_caller(bench):
    server = bench.server().start()
    fill_for_stall(server)

    def start():
        c = connect(server)
        c.sendall(raw_post(server, SAVE, "Accept: application/x-ndjson"))
        return c

    save = StalledSave(server, start)
    before = len(server.names())
    save.started.close()
    save.release()
    wait_for(lambda: len(server.names()) == before + 1, "the save to end")
    equal(parts(server.snapshots), [])
    wait_for(lambda: metrics(server)['holdfast_etcd_snapshot_save_duration_seconds_count{status="success"}'] == before + 1, "its number")
    server.stop()


def test_etcd_dies_during_a_save(bench):
    server = bench.server().start()
    fill_for_stall(server)
    save = StalledSave(server, lambda: bench.spawn([server.program, "etcd-snapshot", "save"], "save.log", env=server.env))
    before = server.names()
    save.signal(signal.SIGKILL)
    equal(save.started.wait(60), 5)
    log = (bench.dir / "save.log").read_text()
    contains(log.splitlines()[-1], "level=fatal msg=\"Error: etcd snapshot: ")
    wait_for_new_etcd(server)
    equal(server.names(), before)
    equal(parts(server.snapshots), [])
    equal(metrics(server)['holdfast_etcd_snapshot_failures_total{reason="unavailable"}'], 1)
    equal(metrics(server)['holdfast_etcd_snapshot_save_duration_seconds_count{status="error"}'], 1)
    server.save()
    server.stop()


def test_one_save_at_a_time(bench):
    server = bench.server().start()
    fill_for_stall(server)
    save = StalledSave(server, lambda: bench.spawn([server.program, "etcd-snapshot", "save", "--name", "first"], "first.log", env=server.env))
    before = len(server.names())
    second = server.snapshot("save", "--name", "second")
    equal(second.code, 6, second)
    contains(second.err, "snapshot save already in progress")
    contains(second.err, "Hint: ")
    code, text = post(server, SAVE)
    equal(code, 409, text)
    contains(json.loads(text)["message"], "snapshot save already in progress")
    equal(server.get("/ping")[0], 200)
    save.release()
    equal(save.started.wait(60), 0)
    names = server.names()
    equal(len(names), before + 1)
    check(all(n.startswith("first-") for n in names), names)
    # A refused second save is no failure.
    numbers = metrics(server)
    check('holdfast_etcd_snapshot_save_duration_seconds_count{status="error"}' not in numbers, numbers)
    equal({k: v for k, v in numbers.items() if "failures_total" in k and v}, {})
    server.stop()


def test_metrics_tell_what_happened(bench):
    server = bench.server().start()
    prefix = "holdfast_etcd_snapshot_"

    def numbers():
        return {k.removeprefix(prefix): v for k, v in metrics(server).items()}

    # Two threads begin: the one that looks at the directory, and the schedule.
    n = wait_for(lambda: (m := numbers()).get('reconcile_duration_seconds_count{status="success"}') == 1
                 and m["next_run_timestamp_seconds"] and m, "the first look")
    equal([n[k] for k in ("count", "last_success_timestamp_seconds", "last_size_bytes")], [0, 0, 0])
    check(time.time() < n["next_run_timestamp_seconds"] <= time.time() + 12 * 3600 + 10, n)
    equal((n["holdfast_etcd_healthy"], n["holdfast_etcd_restarts_total"]), (1, 0))

    before = int(time.time())
    size = server.save().stat().st_size
    n = numbers()
    equal((n["count"], n["last_size_bytes"]), (1, size))
    check(before <= n["last_success_timestamp_seconds"] <= time.time() + 1, n)
    for name in ("save_duration_seconds", "save_local_duration_seconds"):
        equal(n[name + '_count{status="success"}'], 1, name)
        check(0 < n[name + '_sum{status="success"}'] < 60, name)
        bounds = [k.split('le="')[1].split('"')[0] for k in n if k.startswith(name + "_bucket")]
        equal([float(b) for b in bounds], [0.008 * 2 ** i for i in range(15)] + [float("inf")])

    # Failures do not count as success, nor do they change what is known of the last success.
    equal(server.snapshot("save", f"--dir={bench.dir}/missing").code, 1)
    (server.snapshots / "copied-by-hand").write_bytes(b"x" * 512)
    equal(server.snapshot("save", f"--dir={server.log}").code, 1)
    m = numbers()
    equal(m['save_duration_seconds_count{status="error"}'], 2)
    equal(m['failures_total{reason="not_found"}'], 1)
    equal(m['failures_total{reason="failed_precondition"}'], 1)
    equal(m['save_duration_seconds_count{status="success"}'], 1)
    equal([m[k] for k in ("last_success_timestamp_seconds", "last_size_bytes")], [n[k] for k in ("last_success_timestamp_seconds", "last_size_bytes")])
    equal(m["count"], 2)  # a foreign file is one in the directory, and no success

    # A restart forgets counts of events, not what is there.
    server.stop().start()
    again = wait_for(lambda: (m := numbers()).get('reconcile_duration_seconds_count{status="success"}') == 1 and m, "the first look")
    equal([again[k] for k in ("count", "last_success_timestamp_seconds", "last_size_bytes")],
          [2, n["last_success_timestamp_seconds"], size])
    check('save_duration_seconds_count{status="success"}' not in again, again)
    equal(server.snapshot("delete", *server.names()).code, 0)
    equal([numbers()[k] for k in ("count", "last_success_timestamp_seconds", "last_size_bytes")], [0, 0, 0])

    text = server.get("/metrics", password=server.password)[1]
    for line in (f"# TYPE {prefix}reconcile_duration_seconds histogram", f"# TYPE {prefix}count gauge", "# TYPE holdfast_etcd_restarts_total counter"):
        check(line in text.splitlines(), line, "not in", text)
    server.stop()


def test_requests_leave_nothing_behind(bench):
    server = bench.server().start()
    pid = server.process.pid

    def all_sorts():
        for _ in range(8):
            equal(server.get("/ping")[0], 200)
            equal(server.get("/db/info", password="wrong")[0], 401)
            equal(server.get("/nothing")[0], 404)
            equal(post(server, {"operation": "list"})[0], 200)
            equal(post(server, "{")[0], 400)
            with connect(server, tls=False) as c:
                c.sendall(b"garbage")
            with connect(server) as c:
                c.sendall(b"POST /db/snapshot HTTP/1.1\r\nContent-Length: 50\r\n\r\nhalf")
            with connect(server) as c:
                c.sendall(raw_post(server, {"operation": "list"}))  # and gone before the answer
        equal(server.snapshot("save").code, 0)
        equal(server.snapshot("delete", *server.names()).code, 0)

    all_sorts()
    wait_for(lambda: descriptors(pid) < 40, "the first ones to close")
    threads = len(os.listdir(f"/proc/{pid}/task"))
    before = descriptors(pid)
    for _ in range(2):
        all_sorts()
    wait_for(lambda: descriptors(pid) <= before, f"descriptors to be {before} again, they are {os.listdir(f'/proc/{pid}/fd')}")
    equal(len(os.listdir(f"/proc/{pid}/task")), threads, "threads")
    server.stop()
