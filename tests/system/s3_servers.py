"""S3 servers for tests: Ceph RGW and OpenStack Swift as Debian 12 has them, and our own strict fake.

Each gives a Service: where it is, its keys, and the flags that point holdfast at one of its buckets. RGW verifies every
signature but no region; Swift the region too; the fake (fake_s3.py) everything that it can. Data are in the bench's directory;
processes end with the bench, or with the test's process if that is killed.
"""
import json
import os
import shutil
import socket
import uuid

import fake_s3
from harness import Skip, check, wait_for
from s3_client import Client


class Service:
    """Where an S3 server is and who we are there."""

    def __init__(self, bench, host, access_key, secret_key, ca_file=None, region="us-east-1"):
        self.bench, self.host, self.access_key, self.secret_key = bench, host, access_key, secret_key
        self.ca_file, self.region = ca_file, region

    @property
    def url(self):
        return f"{'https' if self.ca_file else 'http'}://{self.host}"

    def bucket(self, name="backups"):
        """A new bucket."""
        return self.client(name).make_bucket()

    def client(self, bucket):
        return Client(self.host, bucket, self.access_key, self.secret_key, self.region, self.ca_file)

    def flags(self, of, folder="", **changes):
        """The --etcd-s3-… flags for a bucket (`of`: its Client). A change to None leaves the flag out."""
        values = {"endpoint": self.host, "access_key": self.access_key, "secret_key": self.secret_key, "bucket": of.bucket,
                  "region": self.region, "folder": folder or None, "endpoint_ca": self.ca_file,
                  "insecure": None if self.ca_file else "true", **changes}
        return ["--etcd-s3"] + [f"--etcd-s3-{name.replace('_', '-')}={value}" for name, value in values.items() if value is not None]

    def behind(self, host):
        """The same server by another address, as a proxy's."""
        return Service(self.bench, host, self.access_key, self.secret_key, None, self.region)


def make_certificates(bench, name, hosts=("127.0.0.1", "localhost")):
    """A private CA and a server's certificate by it; returns (CA, certificate, key)."""
    directory = bench.dir / name
    directory.mkdir()
    ca, ca_key, cert, key, request = (directory / f for f in ("ca.crt", "ca.key", "server.crt", "server.key", "server.csr"))
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    bench.ok("openssl", "req", "-x509", *new_key, "-days", "2", "-subj", f"/CN={name}", "-keyout", ca_key, "-out", ca)
    bench.ok("openssl", "req", *new_key, "-subj", f"/CN={hosts[0]}", "-keyout", key, "-out", request)
    names = ",".join(("IP:" if h[0].isdigit() else "DNS:") + h for h in hosts)
    bench.ok("openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2",
             "-extfile", "/dev/stdin", "-out", cert, stdin=f"subjectAltName={names}\n")
    return ca, cert, key


def listening(port, process):
    check(process.poll() is None, process.args, "ended with", process.returncode)
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def start(bench, log, *argv):
    """A process that is killed at the end without ceremony (nothing of it is kept), and when this one dies."""
    process = bench.spawn(["setpriv", "--pdeathsig", "KILL", *argv], log)
    bench.stack.callback(process.kill)
    return process


def needed(package, *programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        raise Skip(f"no {', '.join(missing)}; apt-get install --no-install-recommends {package}")


# --- Ceph ---

# One monitor and one OSD that keeps everything in memory. No manager: nothing here needs it. Many settings are there to be
# quick: Ceph batches the monitor's proposals for a second and looks for new maps every five.
CEPH_CONF = """\
[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = {dir}/keyring
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
run dir = {dir}
crash dir = {dir}
admin socket =
pid file =
log file = {dir}/$name.log
log to stderr = false
mon cluster log file = {dir}/cluster.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
paxos propose interval = 0.05
paxos min wait = 0.01
objecter tick interval = 0.25
mon client hunt interval = 0.5
mon client ping interval = 1
[mon.a]
mon data = {dir}/mon
mon data avail crit = 1
mon data avail warn = 2
[osd.0]
osd data = {dir}/osd
osd objectstore = memstore
memstore device bytes = {bytes}
osd class default list = *
osd class load list = *
[client.rgw.a]
rgw data = {dir}
rgw thread pool size = 32
rgw num rados handles = 1
rgw enable usage log = false
rgw enable apis = s3, admin
rgw dns name = s3.localhost
"""


class Rgw(Service):
    """Ceph's RADOS gateway: the reference. With `tls`, https by a certificate of a private CA, and no http."""

    def __init__(self, bench, tls=False, gigabytes=2):
        needed("radosgw ceph-mon ceph-osd", "radosgw", "ceph-mon", "ceph-osd", "monmaptool", "osdmaptool", "ceph-authtool")
        self.dir = bench.dir / "ceph"
        self.conf = self.dir / "ceph.conf"
        for name in ("mon", "osd"):
            (self.dir / name).mkdir(parents=True)
        mon1, mon2, web = bench.port(), bench.port(), bench.port()
        fsid = uuid.uuid4()
        self.conf.write_text(CEPH_CONF.format(fsid=fsid, mon1=mon1, mon2=mon2, dir=self.dir, bytes=gigabytes << 30))
        ca, front = None, f"beast endpoint=127.0.0.1:{web}"
        if tls:
            ca, cert, key = make_certificates(bench, "ceph-tls")
            front = f"beast ssl_endpoint=127.0.0.1:{web} ssl_certificate={cert} ssl_private_key={key}"
        super().__init__(bench, f"127.0.0.1:{web}", "RGWACCESSKEY0000TEST", "rgw/secret+key/of+the/tests=0000000000000", ca)

        bench.ok("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]", self.dir / "monmap")
        # The first map has osd.0 in it, so that nothing has to be asked of the monitor.
        bench.ok("osdmaptool", "--createsimple", "1", "--with-default-pool", self.dir / "osdmap", "--pg-bits", "2", "--clobber")
        for i, (name, caps) in enumerate((("mon.", {"mon": "allow *"}),
                                          ("client.admin", {"mon": "allow *", "osd": "allow *", "mgr": "allow *"}),
                                          ("client.rgw.a", {"mon": "allow rwx", "osd": "allow rwx"}),
                                          ("osd.0", {"mon": "allow profile osd", "osd": "allow *"}))):
            bench.ok("ceph-authtool", *([] if i else ["--create-keyring"]), self.dir / "keyring", "--gen-key", "-n", name,
                     *(word for who, what in caps.items() for word in ("--cap", who, what)))
        bench.ok("ceph-mon", "-c", self.conf, "--mkfs", "-i", "a", "--monmap", self.dir / "monmap", "--osdmap", self.dir / "osdmap",
                 "--keyring", self.dir / "keyring")
        mon = start(bench, "ceph-mon.log", "ceph-mon", "-c", self.conf, "-f", "-i", "a")
        wait_for(lambda: listening(mon2, mon), "the monitor")
        bench.ok("ceph-osd", "-c", self.conf, "-i", "0", "--mkfs", "--osd-uuid", uuid.uuid4())
        start(bench, "ceph-osd.log", "ceph-osd", "-c", self.conf, "-f", "-i", "0")
        gateway = start(bench, "ceph-rgw.log", "radosgw", "-c", self.conf, "-f", "-n", "client.rgw.a", "--rgw_frontends", front)
        wait_for(lambda: listening(web, gateway), "radosgw")
        self.add_user("tester", self.access_key, self.secret_key)

    def admin(self, *argv):
        return json.loads(self.bench.ok("radosgw-admin", "-c", self.conf, "-n", "client.rgw.a", *argv).out)

    def collect_garbage(self):
        """Frees the memory of deleted objects at once, not in two hours."""
        self.bench.ok("radosgw-admin", "-c", self.conf, "-n", "client.rgw.a", "gc", "process", "--include-all")

    def add_user(self, name, access_key, secret_key):
        self.admin("user", "create", f"--uid={name}", f"--display-name={name}", f"--access-key={access_key}", f"--secret-key={secret_key}")


def set_policy(bucket, *denied):
    """Forbids actions ("s3:DeleteObject") to everybody."""
    name = bucket.bucket
    bucket.ok("PUT", query={"policy": ""}, body=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": list(denied), "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}]}))


# --- Swift ---

# The part that account, container and object server have in common.
SWIFT_STORAGE = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {dir}
devices = {dir}/devices
mount_check = false
workers = 0
log_udp_host = 127.0.0.1
log_udp_port = 9
fallocate_reserve = 0
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
recon_cache_path = {dir}
"""

SWIFT_PROXY = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {dir}
workers = 0
log_udp_host = 127.0.0.1
log_udp_port = 9
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
storage_domain = s3.localhost
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
"""

SWIFT_RINGS = """\
import sys
from swift.common.ring import RingBuilder
directory = sys.argv[1]
for kind, port in zip(sys.argv[2::2], sys.argv[3::2]):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), replication_ip="127.0.0.1", replication_port=int(port),
                         device="d", weight=1.0, meta=""))
    builder.rebalance()
    builder.get_ring().save("%s/%s.ring.gz" % (directory, kind))
"""


class Swift(Service):
    """OpenStack Swift's s3api: another hand's code, as a second opinion. Not among scripts/packages.txt, because Debian's
    packages start eighteen daemons; the tests that want it are skipped where it is not installed. It needs a file system with
    user attributes (tmpfs before Linux 6.6 has none)."""

    PACKAGES = "swift swift-proxy swift-account swift-container swift-object memcached"

    def __init__(self, bench):
        needed(self.PACKAGES, "swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "memcached")
        directory = bench.dir / "swift"
        (directory / "devices/d").mkdir(parents=True)
        try:
            os.setxattr(directory, "user.test", b"x")
        except OSError as error:
            raise Skip(f"no user attributes in {directory}: {error}") from error
        user = bench.ok("id", "-un").out.strip()
        kinds = {kind: bench.port() for kind in ("account", "container", "object")}
        web, memcached = bench.port(), bench.port()
        super().__init__(bench, f"127.0.0.1:{web}", "test:tester", "swift-secret-of-the-tests-0001")
        (directory / "swift.conf").write_text("[swift-hash]\nswift_hash_path_prefix = test\nswift_hash_path_suffix = test\n"
                                              "[storage-policy:0]\nname = gold\ndefault = yes\n")
        for kind, port in kinds.items():
            (directory / f"{kind}.conf").write_text(SWIFT_STORAGE.format(port=port, user=user, dir=directory, kind=kind))
        filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in
                          ("catch_errors", "gatekeeper", "listing_formats", "bulk", "copy", "slo", "dlo"))
        (directory / "proxy.conf").write_text(
            SWIFT_PROXY.format(port=web, user=user, dir=directory, secret=self.secret_key, memcached=memcached) + filters)
        # One process for the three rings, instead of nine calls of swift-ring-builder.
        bench.ok("/usr/bin/python3", "-c", SWIFT_RINGS, directory, *(word for pair in kinds.items() for word in pair))
        start(bench, "memcached.log", "memcached", "-u", user, "-l", "127.0.0.1", "-p", str(memcached), "-U", "0", "-m", "16")
        servers = [(port, start(bench, f"swift-{kind}.log", f"swift-{kind}-server", directory / f"{kind}.conf")) for kind, port in kinds.items()]
        servers.append((web, start(bench, "swift-proxy.log", "swift-proxy-server", directory / "proxy.conf")))
        for port, process in servers:
            wait_for(lambda p=port, s=process: listening(p, s), "Swift")


# --- ours ---

class Fake(Service):
    """fake_s3.py. `server` is what it knows: its objects, its clock, whom it lets do what."""

    def __init__(self, bench, tls=False, **options):
        ca, cert, key = make_certificates(bench, "fake-tls") if tls else (None, None, None)
        self.server = fake_s3.FakeS3(bench.port(), cert, key, **options)
        bench.stack.callback(self.server.stop)
        access_key, secret_key = "FAKEACCESSKEY000TEST", "fake/secret+key/of+the/tests=000000000000"
        self.server.add_key(access_key, secret_key)
        super().__init__(bench, f"127.0.0.1:{self.server.port}", access_key, secret_key, ca, self.server.region)
