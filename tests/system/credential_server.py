"""Where AWS workloads get temporary credentials: an instance's metadata service (IMDSv2), a container's, and STS. One HTTP server
for all three; what it gives out, a FakeS3 knows.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""
import http.server
import json
import secrets
import threading
import time
import urllib.parse

ROLE = "backup role"
STS_ANSWER = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>{AccessKeyId}</AccessKeyId><SecretAccessKey>{SecretAccessKey}</SecretAccessKey><SessionToken>{Token}</SessionToken>
<Expiration>{Expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


class CredentialServer:
    """`seconds`: how long what it gives out is good. `given`: the keys so far; `asked`: the requests."""

    def __init__(self, fake, port, seconds=3600):
        self.fake, self.seconds, self.given, self.asked, self.token = fake, seconds, [], [], secrets.token_hex(8)
        self.web_identity, self.container_token = secrets.token_hex(16), secrets.token_hex(16)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), type("BoundHandler", (Handler,), {"from_": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def issue(self):
        out = {"Code": "Success", "AccessKeyId": "TEMPORARY" + secrets.token_hex(6).upper(), "SecretAccessKey": secrets.token_urlsafe(30),
               "Token": secrets.token_urlsafe(90), "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.seconds))}
        self.fake.add_key(out["AccessKeyId"], out["SecretAccessKey"], out["Token"], self.seconds)
        self.given.append(out)
        return out


class Handler(http.server.BaseHTTPRequestHandler):
    from_ = None

    def do_PUT(self):
        self.from_.asked.append(f"PUT {self.path}")
        good = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit()
        self.answer(200 if good else 400, self.from_.token if good else "")

    def do_GET(self):
        self.from_.asked.append(f"GET {self.path}")
        roles = "/latest/meta-data/iam/security-credentials/"
        if self.path == "/container":
            if self.headers.get("Authorization") != self.from_.container_token:
                return self.answer(401, "")
            return self.answer(200, json.dumps(self.from_.issue()))
        if self.headers.get("X-aws-ec2-metadata-token") != self.from_.token:
            return self.answer(401, "")
        if self.path == roles:
            return self.answer(200, ROLE)
        if urllib.parse.unquote(self.path) == roles + ROLE:
            return self.answer(200, json.dumps(self.from_.issue()))
        return self.answer(404, "")

    def do_POST(self):
        self.from_.asked.append(f"POST {self.path}")
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = (form.get("Action") == ["AssumeRoleWithWebIdentity"] and form.get("WebIdentityToken") == [self.from_.web_identity]
                and form.get("RoleArn", [""])[0].startswith("arn:aws:iam::") and form.get("RoleSessionName") and form.get("Version") == ["2011-06-15"])
        if not good:
            return self.answer(400, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>")
        return self.answer(200, STS_ANSWER.format(**self.from_.issue()))

    def answer(self, code, text):
        self.send_response(code)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass
