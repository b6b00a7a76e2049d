"""Where the credentials for S3 come from, that they are renewed, and that no secret is ever seen."""
import subprocess
import time

import s3_servers
from credential_server import CredentialServer
from fault_proxy import Answer, FaultProxy
from harness import check, contains, equal
from s3_test import NO_CREDENTIALS, Asker, objects


def environment(bench, **more):
    """Nothing of the machine's own."""
    return {**NO_CREDENTIALS, "HOME": str(bench.dir), **more}


def bare(service, bucket, **changes):
    return service.flags(bucket, access_key=None, secret_key=None, **changes)


def credential_server(bench, fake, **options):
    server = CredentialServer(fake.server, bench.port(), **options)
    bench.stack.callback(server.stop)
    return server


def test_from_everywhere(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    aws = credential_server(bench, fake)
    keys = {"AWS_ACCESS_KEY_ID": fake.access_key, "AWS_SECRET_ACCESS_KEY": fake.secret_key}
    shared, token, container = bench.dir / "shared", bench.dir / "web-identity", bench.dir / "container-token"
    shared.write_text(f"[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n\n# ours\n[backup]\naws_access_key_id={fake.access_key}\n"
                      f"aws_secret_access_key = {fake.secret_key}\n")
    token.write_text(aws.web_identity + "\n")
    container.write_text(aws.container_token)
    cases = {
        "environment": keys,
        "shared file": {"AWS_SHARED_CREDENTIALS_FILE": str(shared), "AWS_PROFILE": "backup"},
        "web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/backup",
                         "AWS_ENDPOINT_URL_STS": aws.url},
        "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(container)},
        "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url, "AWS_EC2_METADATA_DISABLED": "false"},
    }
    bucket.put("seen", b"x")
    for name, env in cases.items():
        # `ls` without a server asks the bucket itself.
        result = bench.server("host-" + name.replace(" ", "-")).snapshot("ls", *bare(fake, bucket), env=environment(bench, **env))
        equal(result.code, 0, name, result)
        contains(result.out, "seen")
    equal(len(aws.given), 3)
    server = bench.server("uploads").start(*bare(fake, bucket, folder="f"), env=environment(bench, **cases["instance"]))
    name = server.save().name
    equal(objects(bucket, "f"), [name])
    server.stop()


def test_temporary_credentials_are_renewed(bench):
    """A server that runs longer than its credentials are good."""
    fake = s3_servers.Fake(bench)
    bucket, aws = fake.bucket(), credential_server(bench, fake)
    server = bench.server().start(*bare(fake, bucket, folder="f"), env=environment(
        bench, AWS_EC2_METADATA_SERVICE_ENDPOINT=aws.url, AWS_EC2_METADATA_DISABLED="false"))
    first = server.save().name
    # They end earlier than they said, as when a role is changed.
    for key in list(fake.server.keys):
        if key.startswith("TEMPORARY"):
            fake.server.keys[key].ends = time.time() - 1
    second = server.save().name
    equal(objects(bucket, "f"), sorted([first, second]))
    check(len(aws.given) >= 2, aws.asked)
    server.stop()


def test_half_a_pair_is_told_and_not_used(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    asker = Asker(bench)
    flags = fake.flags(bucket, secret_key=None)
    result = asker.fails(flags, "credentials")
    check("secret-key" in result.err + asker.server.log_text(), "no word about the other half:", result)
    asker.server.stop()


def test_a_session_token_reaches_the_server(bench):
    fake = s3_servers.Fake(bench)
    bucket = fake.bucket()
    fake.server.add_key("TEMPORARY", "the-temporary-secret", token="the-session-token", seconds=3600)
    asker = Asker(bench)
    asker.works(fake.flags(bucket, access_key="TEMPORARY", secret_key="the-temporary-secret", session_token="the-session-token"))
    asker.works(bare(fake, bucket), env={"AWS_ACCESS_KEY_ID": "TEMPORARY", "AWS_SECRET_ACCESS_KEY": "the-temporary-secret",
                                         "AWS_SESSION_TOKEN": "the-session-token"})
    asker.fails(fake.flags(bucket, access_key="TEMPORARY", secret_key="the-temporary-secret"), "failed to initialize S3 client")
    asker.server.stop()


def test_one_refusal_is_not_the_end(bench):
    fake = s3_servers.Fake(bench)
    bucket, aws = fake.bucket(), credential_server(bench, fake)
    proxy = FaultProxy(bench.port(), fake.server.port)
    bench.stack.callback(proxy.stop)
    env = environment(bench, AWS_EC2_METADATA_SERVICE_ENDPOINT=aws.url, AWS_EC2_METADATA_DISABLED="false")
    server = bench.server().start(*bare(fake.behind(f"127.0.0.1:{proxy.port}"), bucket), env=env)
    for code, status in (("ExpiredToken", 400), ("AccessDenied", 403)):
        rule = proxy.add(Answer(status, code), method="PUT", times=1)
        server.save()
        equal(rule.hits, 1)
    server.stop()


def test_secrets_are_nowhere(bench):
    """In no log, output, file or process, whether it works or not."""
    fake, rgw = s3_servers.Fake(bench), s3_servers.Rgw(bench)
    secret, token = "Very/Secret+Key=0123456789abcdefghijklmn", "Session+Token/0123456789=="
    fake.server.add_key("KNOWNKEY", secret, token=token, seconds=3600)
    bucket = fake.bucket()
    config = bench.dir / "config.yaml"
    config.write_text("".join(f"{name}: \"{value}\"\n" for name, value in {
        "etcd-s3": "true", "etcd-s3-endpoint": fake.host, "etcd-s3-insecure": "true", "etcd-s3-bucket": "backups", "etcd-s3-folder": "f",
        "etcd-s3-access-key": "KNOWNKEY", "etcd-s3-secret-key": secret, "etcd-s3-session-token": token}.items()))
    config.chmod(0o600)
    env = {"HOLDFAST_CONFIG_FILE": str(config)}
    seen = []
    server = bench.server().start("--debug", env=env)

    def look(result):
        seen.append(result.out + result.err)
        return result
    equal(look(server.snapshot("save", "--debug", env=env)).code, 0)
    name = objects(bucket, "f")[0]
    for command in (("ls",), ("ls", "-o", "json"), ("ls", "-o", "yaml"), ("s3-check",), ("save", "--etcd-s3-bucket=nowhere"),
                    ("save", f"--etcd-s3-endpoint={rgw.host}", "--etcd-s3-timeout=1s"), ("save", "--etcd-s3-access-key=other"),
                    ("prune", "--name=on-demand", "--etcd-s3-retention=1"), ("delete", "none", name)):
        look(server.snapshot(*command, env=env))
    fake.server.clock_ahead = 3600
    check(look(server.snapshot("save", "--debug", env=env)).code != 0, "a save with a wrong clock")
    fake.server.clock_ahead = 0
    seen.append(subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout)
    seen.append(server.get("/metrics", password=server.password)[1])
    server.stop()
    seen.append(server.log_text())
    for path in server.data_dir.rglob("*"):
        if path.is_file() and "etcd" not in path.parts:
            seen.append(path.read_bytes().decode("latin-1"))
    for key in bucket.list():
        seen.append(bucket.get(key).decode("latin-1") + repr(bucket.head(key)))
    for word in (secret, token, secret[:20], token[:20]):
        equal([text[max(0, text.find(word) - 200):][:400] for text in seen if word in text], [])
    check(any("KNOWNKEY" in text or "f/" in text for text in seen), "this test sees nothing at all")
