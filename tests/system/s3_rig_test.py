"""The tests' own S3 tools tell the truth: the fake refuses what it must and is S3 for clients that are not ours, the servers
start, and the fault proxy spoils only what it is told to."""
import base64
import hashlib
import http.client
import os
import pathlib
import threading
import time

import s3_servers
from fault_proxy import Answer, Corrupt, FaultProxy, Header, Lost, Reset, Shorten, Stall, Truncate
from harness import Skip, check, contains, equal, wait_for
from s3_client import Client, parse_xml

NAMES = ["plain", "with space", "a+b=c&d", "ünïcode-快照", "deep/er/key", "tilde~(x)'!*", "100%25", "semi;colon,comma@"]


def speaks_s3(service):
    """What we rely on, by our own client."""
    bucket = service.bucket("rig")
    for name in NAMES:
        bucket.put(f"folder/{name}", name.encode(), holdfast_node_name="n 1")
        equal(bucket.get(f"folder/{name}"), name.encode())
        equal(bucket.head(f"folder/{name}").metadata, {"holdfast-node-name": "n 1"})
    equal(sorted(bucket.list("folder/")), sorted(f"folder/{n}" for n in NAMES))
    equal(bucket.head("folder/none").status, 404)
    equal(bucket.request("GET", "folder/none").code, "NoSuchKey")
    whole = bucket.head("folder/plain")
    equal(whole.headers["etag"].strip('"'), hashlib.md5(b"plain").hexdigest())
    part = bucket.request("GET", "folder/plain", headers={"range": "bytes=1-2", "if-match": whole.headers["etag"]})
    equal((part.status, part.body), (206, b"la"))
    equal(bucket.request("GET", "folder/plain", headers={"if-match": '"x"'}).code, "PreconditionFailed")
    equal(bucket.request("GET", "folder/plain", headers={"range": "bytes=9-"}).code, "InvalidRange")
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    equal(bucket.request("PUT", "folder/md5", body=b"x", headers={"content-md5": wrong}).code, "BadDigest")

    five = os.urandom(5 << 20)
    upload = bucket.begin_upload("big one")
    etags = [(n, bucket.upload_part("big one", upload, n, body)) for n, body in ((1, five), (2, b"end"))]
    check("big one" not in bucket.list(), "an upload is listed before it is completed")
    equal(bucket.uploads(), ["big one"])
    equal(bucket.complete_upload("big one", upload, [(1, etags[0][1]), (2, '"0"')]).code, "InvalidPart")
    done = bucket.complete_upload("big one", upload, etags)
    equal(done.status, 200, done)
    check(bucket.get("big one") == five + b"end", "the parts came together wrong")
    check(bucket.head("big one").headers["etag"].endswith('-2"'), "no ETag of a multipart upload")
    small = bucket.begin_upload("small")
    etags = [(n, bucket.upload_part("small", small, n, b"x")) for n in (1, 2)]
    equal(bucket.complete_upload("small", small, etags).code, "EntityTooSmall")
    bucket.ok("DELETE", "small", query={"uploadId": small})
    equal(bucket.uploads(), [])
    bucket.delete("folder/plain")
    equal(bucket.head("folder/plain").status, 404)

    stranger = Client(service.host, "rig", service.access_key, "wrong", service.region, service.ca_file)
    equal(stranger.request("GET", "folder/a").code, "SignatureDoesNotMatch")
    nobody = Client(service.host, "rig", "nobody", "wrong", service.region, service.ca_file).request("GET", "folder/a").code
    check(nobody in ("InvalidAccessKeyId", "SignatureDoesNotMatch"), nobody)
    equal(service.client("none").request("GET", query={"list-type": 2}).code, "NoSuchBucket")


def test_ceph_speaks_s3(bench):
    speaks_s3(s3_servers.Rgw(bench))


def test_ceph_over_tls_and_a_policy(bench):
    bucket = s3_servers.Rgw(bench, tls=True).bucket()
    bucket.put("a", b"x")
    s3_servers.set_policy(bucket, "s3:DeleteObject")
    equal(bucket.request("DELETE", "a").code, "AccessDenied")
    equal(bucket.get("a"), b"x")


def test_swift_speaks_s3(bench):
    swift = s3_servers.Swift(bench)
    speaks_s3(swift)
    swift.region = "eu-west-1"
    equal(swift.client("rig").request("GET", query={"list-type": 2}).code, "AuthorizationHeaderMalformed")


def test_the_fake_speaks_s3(bench):
    speaks_s3(s3_servers.Fake(bench, page=3))
    speaks_s3(s3_servers.Fake(bench, tls=True, page=3, region="eu-west-1"))


def sent(fake, method, target, headers, body=b""):
    connection = http.client.HTTPConnection(fake.host, timeout=60)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body or None)
    answer = connection.getresponse()
    return parse_xml(answer.read()).findtext("Code") if answer.status >= 300 else "OK"


def skewed():
    """20 minutes from now, but on the same day."""
    now = time.time()
    other = now + 1200 if time.gmtime(now).tm_yday == time.gmtime(now + 1200).tm_yday else now - 1200
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(other))


class Recorder(Client):
    """Signs, and lets the test change what is sent."""

    def send(self, fake, method, key, body=b"", change=lambda headers: None, target=None, **headers):
        record = {}
        original = http.client.HTTPConnection.request
        http.client.HTTPConnection.request = lambda _, m, t, b, h: record.update(method=m, target=t, headers=dict(h)) or original(_, m, t, b, h)
        try:
            self.request(method, key, body=body, headers=headers)
        finally:
            http.client.HTTPConnection.request = original
        signed = record["headers"]
        if body:
            signed["content-length"] = str(len(body))
        change(signed)
        return sent(fake, method, target or record["target"], signed, body)


def test_the_fake_believes_nothing(bench):
    fake = s3_servers.Fake(bench)
    fake.bucket("rig")
    client = Recorder(fake.host, "rig", fake.access_key, fake.secret_key)
    equal(client.send(fake, "PUT", "a b", b"body"), "OK")
    for expected, change in {
            "AccessDenied": lambda h: h.pop("authorization"),
            "InvalidRequest": lambda h: h.pop("x-amz-content-sha256") and h.update(
                authorization=h["authorization"].replace("x-amz-content-sha256;", "")),
            "SignatureDoesNotMatch": lambda h: h.update({"content-type": "b"}),
            "XAmzContentSHA256Mismatch": lambda h: h.update({"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}),
            "AuthorizationHeaderMalformed": lambda h: h.update(authorization=h["authorization"].replace("us-east-1", "eu-west-1")),
            "RequestTimeTooSkewed": lambda h: h.update({"x-amz-date": skewed()}),
            "NotImplemented": lambda h: h.update({"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"})}.items():
        equal(client.send(fake, "PUT", "a b", b"body", change, **{"content-type": "a"}), expected)
    equal(client.send(fake, "PUT", "a b", b"body", lambda h: h.update({"x-amz-meta-more": "1"})), "AccessDenied", "a header that is not signed")
    equal(client.send(fake, "PUT", "a b", b"body", lambda h: h.update(authorization=h["authorization"].replace(
        "host;x-amz-content-sha256", "x-amz-content-sha256;host"))), "AuthorizationHeaderMalformed", "headers that are not sorted")
    equal(client.send(fake, "GET", "a b", target="/rig/a b".replace(" ", "%2520")), "SignatureDoesNotMatch", "another path")
    equal(client.send(fake, "GET", "a+b", target="/rig/a+b"), "InvalidURI", "a path that is not encoded")
    equal(client.send(fake, "PUT", "a b", b"body", **{"content-md5": "x"}), "InvalidDigest")
    equal(client.send(fake, "PUT", "a b", b"body", **{"x-amz-server-side-encryption": "rot13"}), "InvalidArgument")
    equal(client.send(fake, "PUT", "a b", b"body", lambda h: h.update({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})), "InvalidRequest")

    bucket = fake.client("rig")
    fake.server.deny("s3:DeleteObject", "s3:ListBucket")
    equal(bucket.request("DELETE", "a b").code, "AccessDenied")
    equal(bucket.head("a b").status, 200)
    equal(bucket.head("none").status, 403, "who may not list is not told what is missing")
    fake.server.clock_ahead = 3600
    equal(bucket.request("GET", "a b").code, "RequestTimeTooSkewed")
    fake.server.clock_ahead = 0
    fake.server.add_key("TEMPORARY", "secret", token="token", seconds=-1)
    equal(Client(fake.host, "rig", "TEMPORARY", "secret").request("GET", "a b").code, "InvalidToken")
    equal(Client(fake.host, "rig", "TEMPORARY", "secret").request("GET", "a b", headers={"x-amz-security-token": "token"}).code, "ExpiredToken")


def test_strangers_take_the_fake_for_s3(bench):
    if not pathlib.Path("/usr/bin/s3cmd").exists():
        raise Skip("no s3cmd")
    fake = s3_servers.Fake(bench, page=5)
    file, back = bench.dir / "file", bench.dir / "back"
    file.write_bytes(os.urandom((11 << 20) + 7))
    config = bench.dir / "s3cfg"
    config.touch()

    def s3cmd(*argv, secret=fake.secret_key):
        return bench.run("/usr/bin/s3cmd", "--config", config, f"--access_key={fake.access_key}", f"--secret_key={secret}",
                         f"--host={fake.host}", "--host-bucket=", "--no-ssl", "--region=us-east-1", "--multipart-chunk-size-mb=5", *argv)

    def good(*argv):
        result = s3cmd(*argv)
        equal(result.code, 0, argv, result)
        return result.out

    good("mb", "s3://rig")
    for name in NAMES:
        good("put", "--add-header=x-amz-meta-colour: blue", "/etc/hostname", f"s3://rig/names/{name}")
    listed = good("ls", "--recursive", "s3://rig/names/")
    for name in NAMES:
        contains(listed, f"s3://rig/names/{name}\n")
    good("put", file, "s3://rig/big one")
    check(fake.client("rig").head("big one").headers["etag"].endswith('-3"'), "not in three parts")
    good("get", "s3://rig/big one", back)
    check(back.read_bytes() == file.read_bytes(), "came back different")
    good("del", "--recursive", "--force", "s3://rig/names/")
    equal(list(fake.client("rig").list()), ["big one"])
    refused = s3cmd("ls", "s3://rig", secret="wrong")
    check(refused.code != 0, refused)
    contains(refused.err, "SignatureDoesNotMatch")


def test_awscli_takes_the_fake_for_s3(bench):
    if not pathlib.Path("/usr/bin/aws").exists():
        raise Skip("no awscli")
    fake = s3_servers.Fake(bench, page=2)
    fake.bucket("rig")
    file, back, config = bench.dir / "file", bench.dir / "back", bench.dir / "config"
    file.write_bytes(os.urandom((17 << 20) + 7))
    config.touch()
    env = {"AWS_ACCESS_KEY_ID": fake.access_key, "AWS_SECRET_ACCESS_KEY": fake.secret_key, "AWS_DEFAULT_REGION": "us-east-1",
           "AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(config), "AWS_EC2_METADATA_DISABLED": "true"}

    def aws(*argv, **more):
        return bench.run("/usr/bin/aws", "--endpoint-url", fake.url, *argv, env={**env, **more})

    def fine(*argv):
        result = aws(*argv)
        equal(result.code, 0, argv, result)
        return result.out

    for name in NAMES:
        fake.client("rig").put(f"names/{name}")
    fine("s3api", "put-object", "--bucket=rig", f"--key=names/{NAMES[2]}", "--body=/etc/hostname", "--metadata=colour=blue")
    fine("s3", "cp", file, "s3://rig/big two")
    fine("s3", "cp", "s3://rig/big two", back)
    check(back.read_bytes() == file.read_bytes(), "came back different")
    listed = fine("s3", "ls", "--recursive", "s3://rig/names/")
    for name in NAMES:
        contains(listed, f" names/{name}\n")
    refused = aws("s3", "ls", "s3://rig", AWS_SECRET_ACCESS_KEY="wrong")
    check(refused.code != 0, refused)
    contains(refused.err, "SignatureDoesNotMatch")


def test_the_proxy_spoils_what_comes_in_chunks(bench):
    rgw = s3_servers.Rgw(bench)
    proxy = FaultProxy(bench.port(), int(rgw.host.rsplit(":", 1)[1]))
    bench.stack.callback(proxy.stop)
    bucket = rgw.behind(f"127.0.0.1:{proxy.port}").bucket("rig")
    for name in NAMES:
        bucket.put(name)
    listing = bucket.request("GET", query={"list-type": 2})
    equal(listing.headers.get("transfer-encoding"), "chunked", "Ceph's listings")
    equal(sorted(bucket.list()), sorted(NAMES))
    proxy.add(Shorten(100), method="GET", times=1)
    equal(bucket.request("GET", query={"list-type": 2}).body, listing.body[:100])
    proxy.add(Corrupt("response", 200), method="GET", times=1)
    spoilt = bucket.request("GET", query={"list-type": 2}).body
    equal([i for i, (a, b) in enumerate(zip(spoilt, listing.body)) if a != b], [200])
    for action in (Truncate("response", 100), Reset("response", 100)):
        proxy.add(action, method="GET", times=1)
        try:
            check(False, action, bucket.request("GET", query={"list-type": 2}))
        except (OSError, http.client.HTTPException):
            pass


def test_the_proxy_spoils_what_it_is_told_to(bench):
    fake = s3_servers.Fake(bench)
    proxy = FaultProxy(bench.port(), fake.server.port)
    bench.stack.callback(proxy.stop)
    bucket = fake.behind(f"127.0.0.1:{proxy.port}").bucket("rig")
    body = os.urandom(300000)
    bucket.put("a b", body)
    equal(bucket.get("a b"), body)

    def once(action, method="GET", run=lambda: bucket.get("a b")):
        rule = proxy.add(action, method=method, path="^/rig/a%20b$", times=1)
        try:
            return run()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            equal(rule.hits, 1, action)

    def put():
        return bucket.put("a b", body[::-1]).status

    answer = once(Answer(503, "SlowDown", Retry_After="1"), run=lambda: bucket.request("GET", "a b"))
    equal((answer.status, answer.code, answer.headers["retry-after"]), (503, "SlowDown", "1"))
    equal(once(Reset("response", 100000)), "ConnectionResetError")
    equal(once(Truncate("response", 100000)), "IncompleteRead")
    equal(once(Shorten(1000)), body[:1000])
    equal(once(Corrupt("response", 150000)), body[:150000] + bytes([body[150000] ^ 1]) + body[150001:])
    equal(once(Corrupt("response")), bytes([body[0] ^ 1]) + body[1:])
    equal(once(Header("ETag", '"x"'), run=lambda: bucket.request("GET", "a b")).headers["etag"], '"x"')
    equal(bucket.get("a b"), body, "afterwards")

    check(once(Reset("request", 100000), "PUT", put) in ("ConnectionResetError", "BrokenPipeError"), "no reset")
    equal(once(Corrupt("request", 5), "PUT", lambda: bucket.request("PUT", "a b", body=body)).code, "XAmzContentSHA256Mismatch")
    equal(bucket.get("a b"), body, "nothing of that was stored")
    check(once(Lost(), "PUT", put) in ("ConnectionResetError", "RemoteDisconnected"), "an answer was heard")
    equal(bucket.get("a b"), body[::-1], "but it was done")

    stall = Stall("response", 1000)
    once_released = []
    reader = threading.Thread(target=lambda: once_released.append(once(stall)))
    reader.start()
    wait_for(stall.reached.is_set, "the stall")
    equal(once_released, [])
    stall.release()
    reader.join()
    equal(once_released, [body[::-1]])


def test_a_forward_proxy(bench):
    fake, secure = s3_servers.Fake(bench), s3_servers.Fake(bench, tls=True)
    proxy = FaultProxy(bench.port(), None)
    bench.stack.callback(proxy.stop)
    for service in (fake, secure):
        answer = bench.ok("curl", "-s", "-x", f"http://127.0.0.1:{proxy.port}", *(["--cacert", service.ca_file] if service.ca_file else []),
                          f"{service.url}/rig/a")
        contains(answer.out, "<Code>AccessDenied</Code>")
    equal(proxy.log, ["GET /rig/a", f"CONNECT {secure.host}"])
