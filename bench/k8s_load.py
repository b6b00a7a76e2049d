#!/usr/bin/env python3
"""Fills an etcd with objects as a Kubernetes API server stores them, and plays some of a cluster's life on it.

usage: bench/k8s_load.py ENDPOINT MEGABYTES [HOURS]      ENDPOINT such as http://127.0.0.1:2379, without TLS

Objects are real k8s protobuf (or JSON, for custom resources) with ObjectMeta and managedFields; sizes and shares are those of
production clusters: 30 % pods (mean 5 KB), replica sets, deployments, config maps (up to 19 KB), secrets (half of them do
not compress), services, endpoint slices, 200 nodes (10 KB), leases. Pods of one app share their template. First every object
is put, one revision each, until keys and values come to MEGABYTES; then HOURS (default 0.2) of churn: lease renewals, status
updates, object updates, events that come and go, and a compaction every five minutes to the revision of five minutes before.

Talks to etcd's JSON gateway, so it needs nothing but Python; works with etcd 3.4 and 3.5. The same seed gives the same
keys and values.
"""
import base64
import collections
import http.client
import json
import multiprocessing
import random
import sys
import time
from urllib.parse import urlparse

SEED = 1
WORKERS = 4
NODES = 200
ELECTIONS = 12       # leader elections that run
APPS = 2000          # pods and workloads of one app share what comes from the app's own generator
NAMESPACES = 80
EPOCH = 1735689600   # the cluster was made within 200 days from here ...
NOW = EPOCH + 86400 * 300
BATCH_FROM_MB = 1500  # a larger load takes eight puts a transaction


# --- protobuf ---

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    """A field: length-delimited for text and bytes, varint for numbers."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    """message((1, "a"), (2, 3), ...)"""
    return b"".join(field(number, value) for number, value in fields)


def envelope(api, kind, raw):
    """What the API server stores: "k8s\\0" and a runtime.Unknown."""
    return b"k8s\0" + message((1, message((1, api), (2, kind))), (2, raw), (3, b""), (4, b""))


# --- words ---

WORDS = ("app web api db cache queue worker ingress proxy auth login user order cart pay stock search index metrics logs trace "
         "grafana prom alert store backup cron batch job mail sms edge gateway router session token image media video stream "
         "kafka redis mongo pg mysql front back admin portal report billing invoice tax ship fleet geo map chat bot ml train "
         "infer model data lake etl sync mirror registry build deploy ci cd git runner test stage").split()


def digits(r, n):
    return "%0*x" % (n, r.getrandbits(4 * n))


def uid(r):
    h = digits(r, 32)
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def words(r, n=2):
    return "-".join(r.choice(WORDS) for _ in range(n))


def suffix(r, n=5):
    return "".join(r.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(n))


def address(r, net="10"):
    return "%s.%d.%d.%d" % (net, r.randrange(256), r.randrange(256), r.randrange(256))


def image(r):
    return "registry.example.com/" + words(r)


def created(r):
    return EPOCH + r.randrange(86400 * 200)


def rfc3339(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


def app_of(r):
    return random.Random("app/%d" % r.randrange(APPS))


# --- objects ---
# Each maker is f(r, namespace, name, version): what does not change with the version is the same for every version.

META_FIELDS = ("metadata.labels.app", "metadata.labels.version", "metadata.labels.team",
               "metadata.annotations.checksum/config", "metadata.ownerReferences")
POD_FIELDS = META_FIELDS + tuple(
    'spec.containers.k:{"name":"%s"}.%s' % (container, f) for container in ("main", "sidecar")
    for f in ("image", "imagePullPolicy", "name", "env", "resources.limits.cpu", "resources.limits.memory",
              "resources.requests.cpu", "resources.requests.memory", "volumeMounts", "terminationMessagePath",
              "terminationMessagePolicy", "livenessProbe.httpGet", "readinessProbe.httpGet", "ports"))
STATUS_FIELDS = tuple(
    'status.conditions.k:{"type":"%s"}.%s' % (condition, f)
    for condition in ("ContainersReady", "Initialized", "Ready", "PodReadyToStartContainers")
    for f in ("lastProbeTime", "lastTransitionTime", "status", "type")) + (
        "status.containerStatuses", "status.hostIP", "status.phase", "status.podIP", "status.podIPs", "status.startTime")
SCALE_FIELDS = ("status.availableReplicas", "status.conditions", "status.observedGeneration", "status.readyReplicas",
                "status.replicas")
LEASE_FIELDS = ("metadata.ownerReferences", "spec.holderIdentity", "spec.leaseDurationSeconds", "spec.renewTime")
EVENT_FIELDS = ("count", "firstTimestamp", "involvedObject", "lastTimestamp", "message", "reason", "reportingComponent",
                "source.component", "type")


def timestamp(t, nanos=0):
    return message((1, t), (2, nanos))


def managed(fields, manager, t, api="v1", sub=""):
    tree = {}
    for path in fields:
        node = tree
        for part in path.split("."):
            node = node.setdefault("f:" + part, {})
    text = json.dumps(tree, separators=(",", ":"))
    return message((1, manager), (2, "Update"), (3, api), (4, timestamp(t)), (6, "FieldsV1"), (7, field(1, text)), (8, sub))


def meta(r, namespace, name, t, labels=(), annotations=(), owner=None, managed_fields=()):
    out = message((1, name), (2, ""), (3, namespace), (4, ""), (5, uid(r)), (6, ""), (7, r.randrange(1, 9)), (8, timestamp(t)))
    for pair in labels:
        out += field(11, message((1, pair[0]), (2, pair[1])))
    for pair in annotations:
        out += field(12, message((1, pair[0]), (2, pair[1])))
    if owner:
        out += field(13, message((1, owner), (3, name), (4, uid(r)), (5, "apps/v1"), (6, 1), (7, 1)))
    for entry in managed_fields:
        out += field(17, entry)
    return out


def environment(r, n):
    out = b""
    for _ in range(n):
        value = r.choice((digits(r, 16), words(r, 3) + ".svc.cluster.local:" + str(r.randrange(1024, 60000)),
                          str(r.randrange(100000)), "https://%s.example.com/%s" % (words(r), words(r)), "true", words(r, 1)))
        out += field(7, message((1, words(r).upper().replace("-", "_")), (2, value)))
    return out


def container(r, name, variables):
    version = "%d.%d.%d" % (r.randrange(9), r.randrange(30), r.randrange(30))
    out = message((1, name), (2, "registry.example.com/%s/%s:%s" % (r.choice(WORDS), words(r, 1), version)))
    out += environment(r, variables)
    for resource in ("cpu", "memory"):
        request = message((1, resource), (2, field(1, "%dm" % (r.randrange(1, 20) * 50))))
        limit = message((1, resource), (2, field(1, "%dMi" % 2 ** r.randrange(5, 12))))
        out += field(8, message((1, request), (2, limit)))
    for path in ("/var/run/secrets/kubernetes.io/serviceaccount", "/etc/" + words(r, 1), "/data/" + words(r, 1)):
        out += field(9, message((1, "kube-api-access-" + suffix(r)), (2, 1), (3, path)))
    probe = message((1, "/healthz"), (2, field(1, 8080)), (4, "HTTP"))
    out += field(10, message((1, field(2, probe)), (2, 10), (3, 5)))
    return out + message((13, "/dev/termination-log"), (14, "IfNotPresent"), (20, "File"))


def pod_status(r, version, t):
    of_version = random.Random(version * 7919 + t)
    out = field(1, "Running")
    for condition in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"):
        changed = t + of_version.randrange(3600) * (version > 0)
        out += field(2, message((1, condition), (2, "True"), (3, ""), (4, field(1, changed))))
    ip = address(r)
    out += message((5, address(r)), (6, ip), (7, field(1, t)))
    for name in ("main", "sidecar"):
        running = field(2, field(1, field(1, t + version)))
        out += field(8, message((1, name), (2, running), (4, 1), (5, version), (6, image(r)),
                                (7, image(r) + "@sha256:" + digits(r, 64)), (8, "containerd://" + digits(of_version, 64))))
    return out + message((9, "Burstable"), (12, field(1, ip)))


def pod(own, namespace, name, version):
    t, r = created(own), app_of(own)
    labels = (("app", words(r)), ("version", "v%d" % r.randrange(40)), ("team", r.choice(WORDS)), ("pod-template-hash", suffix(r, 9)))
    annotations = (("checksum/config", digits(r, 64)), ("cni.example.io/podIP", address(own) + "/32"))
    head = meta(own, namespace, name, t, labels, annotations, "ReplicaSet",
                (managed(POD_FIELDS, "kube-controller-manager", t), managed(STATUS_FIELDS, "kubelet", t + version * 60, sub="status")))
    spec = b""
    for _ in range(3):
        source = field(26, message((1, field(2, field(1, words(r)))), (2, 420)))
        spec += field(1, message((1, "kube-api-access-" + suffix(own)), (2, source)))
    variables = r.randrange(4, 60)
    spec += message((2, container(r, "main", variables)), (2, container(r, "sidecar", variables // 4)), (3, "Always"), (4, 30),
                    (6, "ClusterFirst"), (8, words(r)), (9, words(r)), (10, "node-%03d" % own.randrange(NODES)),
                    (19, "default-scheduler"))
    for taint in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        spec += field(22, message((1, taint), (2, "Exists"), (4, "NoExecute"), (5, 300)))
    return envelope("v1", "Pod", message((1, head), (2, spec), (3, pod_status(own, version, t))))


def workload(kind):
    def make(own, namespace, name, version):
        t, r = created(own), app_of(own)
        chart = "%s-%d.%d.%d" % (words(r), r.randrange(9), r.randrange(30), r.randrange(9))
        head = meta(own, namespace, name, t, (("app", words(r)), ("team", r.choice(WORDS)), ("helm.sh/chart", chart)),
                    (("deployment.kubernetes.io/revision", str(version + 1)), ("meta.helm.sh/release-name", words(r))), None,
                    (managed(POD_FIELDS, "helm", t, "apps/v1"),
                     managed(SCALE_FIELDS, "kube-controller-manager", t + version * 300, "apps/v1", "status")))
        template = message((1, head[:80]), (2, container(r, "main", r.randrange(3, 40))))
        status = message((1, version + 1), (2, 3), (3, 3), (4, 3))
        return envelope("apps/v1", kind, message((1, head), (2, message((1, 3), (3, template))), (3, status)))
    return make


def config_map(r, namespace, name, version):
    t, size, lines = created(r), int(2 ** r.uniform(8, 14.2)), []
    while size > 0:
        value = r.choice((words(r, 4), '"%s"' % digits(r, 12), str(r.randrange(10 ** 6)),
                          "http://%s:%d/%s" % (words(r), r.randrange(9999), words(r))))
        lines.append("%s: %s" % (words(r), value))
        size -= len(lines[-1]) + 1
    lines.insert(len(lines) // 2, "generation: %d" % version)
    head = meta(r, namespace, name, t, (("app", words(r)),), (), None, (managed(("data.config.yaml",), "helm", t + version),))
    return envelope("v1", "ConfigMap", message((1, head), (2, message((1, "config.yaml"), (2, "\n".join(lines))))))


def secret(r, namespace, name, version):
    t, kind = created(r), r.random()
    if kind < .45:  # a helm release: base64 of something compressed
        data, type_name = base64.b64encode(base64.b64encode(r.randbytes(int(2 ** r.uniform(11, 14.3)) * 9 // 16))), "helm.sh/release.v1"
    elif kind < .8:
        body = base64.b64encode(r.randbytes(r.choice((700, 1100, 1700))))
        data, type_name = b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n", "kubernetes.io/tls"
    else:
        data, type_name = base64.b64encode(r.randbytes(r.randrange(12, 200))), "Opaque"
    head = meta(r, namespace, name, t, (("owner", "helm"), ("version", str(version))), (), None,
                (managed(("data.release", "type"), "helm", t),))
    return envelope("v1", "Secret", message((1, head), (2, message((1, "data"), (2, data))), (3, type_name)))


def small(kind, api, size_min, size_max):
    def make(r, namespace, name, version):
        t = created(r)
        head = meta(r, namespace, name, t, (("app", words(r)), ("team", r.choice(WORDS))), (), None,
                    (managed(META_FIELDS + ("spec.a", "spec.b"), "kubectl", t + version),))
        body, size = b"", r.randrange(size_min, size_max)
        while len(body) < size:
            body += field(1, message((1, words(r)), (2, address(r)), (3, r.randrange(65536))))
        return envelope(api, kind, message((1, head), (2, body), (3, field(1, version))))
    return make


def custom_resource(r, namespace, name, version):
    t = created(r)

    def tree(depth):
        if depth == 0:
            return r.choice((words(r, 3), digits(r, 20), r.randrange(10 ** 6), True, rfc3339(created(r))))
        return {words(r): tree(depth - 1) for _ in range(r.randrange(2, 6))}
    changed = rfc3339(t + version * 60)
    fields = {"f:spec": {"f:" + words(r): {} for _ in range(12)}}
    return json.dumps({
        "apiVersion": "example.io/v1", "kind": "Widget",
        "metadata": {"name": name, "namespace": namespace, "uid": uid(r), "generation": version + 1,
                     "creationTimestamp": rfc3339(t), "labels": {"app": words(r)},
                     "managedFields": [{"apiVersion": "example.io/v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
                                        "manager": "operator", "operation": "Update", "time": changed}]},
        "spec": tree(r.choice((2, 3, 3, 4))),
        "status": {"observedGeneration": version, "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": changed,
                                                                  "reason": "Ok", "message": words(r, 8)}]},
    }, separators=(",", ":")).encode() + b"\n"


def node(r, name, version):
    t, changed = created(r), NOW + version * 300
    of_version = random.Random(version * 31 + t)
    head = meta(r, "", name, t, tuple((words(r, 1) + ".io/" + words(r), words(r)) for _ in range(25)),
                tuple((words(r) + ".io/" + words(r), digits(r, 24)) for _ in range(12)), None,
                (managed(META_FIELDS, "kube-controller-manager", t), managed(STATUS_FIELDS, "kubelet", changed, sub="status")))
    status = b""
    for condition in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready", "NetworkUnavailable"):
        status += field(4, message((1, condition), (2, "False"), (3, field(1, changed)), (4, field(1, t)),
                                   (5, "KubeletHas" + condition), (6, "kubelet has " + condition)))
    for _ in range(45):
        name_of_image = image(r)
        status += field(8, message((1, name_of_image + "@sha256:" + digits(r, 64)),
                                   (1, "%s:v%d" % (name_of_image, r.randrange(99))), (2, r.randrange(10 ** 9))))
    spec = field(1, "10.42.%d.0/24" % r.randrange(256))
    return envelope("v1", "Node", message((1, head), (2, spec), (3, status + field(30, of_version.randrange(10 ** 6)))))


def lease(namespace, name, holder, version, seconds):
    r = random.Random("%s/%s" % (namespace, name))
    t, renewed = created(r), NOW + version * seconds
    head = meta(r, namespace, name, t, (), (), "Node" if namespace == "kube-node-lease" else None,
                (managed(LEASE_FIELDS, "kubelet", renewed, "coordination.k8s.io/v1"),))
    nanos = random.Random(version ^ t).randrange(10 ** 6) * 1000
    return envelope("coordination.k8s.io/v1", "Lease", message((1, head), (2, message((1, holder), (2, 40), (4, timestamp(renewed, nanos))))))


def event(number):
    """Key and value of an event."""
    r = random.Random("%d/event/%d" % (SEED, number))
    namespace = "ns-%s-%02d" % (r.choice(WORDS), r.randrange(4))
    name = "%s.%s" % (words(r), digits(r, 16))
    t = NOW + number
    head = meta(r, namespace, name, t, (), (), None, (managed(EVENT_FIELDS, "kubelet", t),))
    subject = message((1, "Pod"), (2, namespace), (3, words(r) + "-" + suffix(r)), (4, uid(r)), (5, "v1"), (6, str(r.randrange(10 ** 7))))
    reason = r.choice(("Pulled", "Created", "Started", "BackOff", "Unhealthy", "Scheduled"))
    text = 'Container image "%s:%d" already present on machine' % (image(r), r.randrange(99))
    origin = message((1, "kubelet"), (2, "node-%03d" % r.randrange(NODES)))
    return ("/registry/events/%s/%s" % (namespace, name),
            envelope("v1", "Event", message((1, head), (2, subject), (3, reason), (4, text), (5, origin), (8, 1), (9, "Normal"))))


KINDS = (  # weight, registry prefix, maker
    (30, "pods", pod),
    (10, "replicasets", workload("ReplicaSet")),
    (5, "deployments", workload("Deployment")),
    (14, "configmaps", config_map),
    (9, "secrets", secret),
    (6, "services/specs", small("Service", "v1", 200, 900)),
    (6, "endpointslices", small("EndpointSlice", "discovery.k8s.io/v1", 300, 2500)),
    (5, "serviceaccounts", small("ServiceAccount", "v1", 40, 200)),
    (5, "rolebindings", small("RoleBinding", "rbac.authorization.k8s.io/v1", 100, 500)),
    (10, "example.io/widgets", custom_resource))
WEIGHTS = [weight for weight, _, _ in KINDS]
FIRST_PLAIN = 2 * NODES + ELECTIONS  # objects below are nodes, node leases and elections


def key_and_value(i, version):
    """Object number i at a version."""
    if i < NODES:
        name = "node-%03d" % i
        return "/registry/minions/" + name, node(random.Random("%d/node/%d" % (SEED, i)), name, version)
    if i < 2 * NODES:
        name = "node-%03d" % (i - NODES)
        return "/registry/leases/kube-node-lease/" + name, lease("kube-node-lease", name, name, version, 10)
    if i < FIRST_PLAIN:
        name = "controller-%02d" % (i - 2 * NODES)
        holder = name + "_" + digits(random.Random(i), 12)
        return "/registry/leases/kube-system/" + name, lease("kube-system", name, holder, version, 2)
    r = random.Random("%d/%d" % (SEED, i))
    _, prefix, make = r.choices(KINDS, WEIGHTS)[0]
    namespace = "ns-%s-%02d" % (WORDS[r.randrange(NAMESPACES) % len(WORDS)], r.randrange(4))
    name = "%s-%s-%s" % (words(r), digits(r, 9), suffix(r))
    return "/registry/%s/%s/%s" % (prefix, namespace, name), make(r, namespace, name, version)


# --- etcd ---

class Etcd:
    """A client of the JSON gateway; one connection."""

    def __init__(self, endpoint):
        url = urlparse(endpoint)
        self.address, self.connection = (url.hostname, url.port), None

    def post(self, path, body):
        text = json.dumps(body)
        for attempt in range(6):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection(*self.address, timeout=120)
                self.connection.request("POST", path, text, {"Content-Type": "application/json"})
                answer = self.connection.getresponse()
                data = answer.read()
            except (OSError, http.client.HTTPException):
                self.connection = None
                time.sleep(.2)
                continue
            if answer.status == 200:
                return json.loads(data)
            if answer.status not in (429, 503) and b"too many requests" not in data:
                raise RuntimeError("%s: %d %r" % (path, answer.status, data[:200]))
            time.sleep(.05 * (attempt + 1))
        raise RuntimeError("no answer to " + path)

    @staticmethod
    def request(key, value=None, lease_id=0):
        body = {"key": base64.b64encode(key.encode()).decode()}
        if value is not None:
            body["value"] = base64.b64encode(value).decode()
        if lease_id:
            body["lease"] = str(lease_id)
        return body

    def put(self, pairs):
        """All in one transaction."""
        if len(pairs) == 1:
            self.post("/v3/kv/put", self.request(*pairs[0]))
        else:
            self.post("/v3/kv/txn", {"success": [{"request_put": self.request(*pair)} for pair in pairs]})

    def delete(self, key):
        self.post("/v3/kv/deleterange", self.request(key))

    def grant(self, seconds):
        return int(self.post("/v3/lease/grant", {"TTL": str(seconds), "ID": "0"})["ID"])

    def revision(self):
        return int(self.post("/v3/kv/range", {**self.request("x"), "limit": "1"})["header"]["revision"])

    def compact(self, revision):
        self.post("/v3/kv/compaction", {"revision": str(revision), "physical": True})


# --- the load ---

def load_worker(endpoint, worker, batch, results, stop):
    etcd, i, pairs = Etcd(endpoint), worker, []
    while not stop.is_set():
        pairs.append(key_and_value(i, 0))
        i += WORKERS
        if len(pairs) == batch:
            etcd.put(pairs)
            results.put((i, sum(len(key) + len(value) for key, value in pairs)))
            pairs = []
    results.put(None)


def load(endpoint, megabytes, say=print):
    """Puts objects until there are so many bytes; returns how many objects there are."""
    batch = 1 if megabytes < BATCH_FROM_MB else 8
    results, stop = multiprocessing.Queue(), multiprocessing.Event()
    workers = [multiprocessing.Process(target=load_worker, args=(endpoint, w, batch, results, stop)) for w in range(WORKERS)]
    for worker in workers:
        worker.start()
    running, total, reached, said = WORKERS, 0, collections.defaultdict(int), time.monotonic()
    while running:
        result = results.get()
        if result is None:
            running -= 1
            continue
        reached[result[0] % WORKERS] = result[0]
        total += result[1]
        if total >= megabytes * 1e6:
            stop.set()
        if time.monotonic() - said > 10:
            said = time.monotonic()
            say("  %.0f of %d MB" % (total / 1e6, megabytes))
    for worker in workers:
        worker.join()
    return min(reached.values())


def churn_worker(endpoint, jobs, results):
    etcd = Etcd(endpoint)
    while (job := jobs.get()) is not None:
        for kind, number, detail in job:
            if kind == "object":
                etcd.put([key_and_value(number, detail)])
            elif kind == "event":
                etcd.put([(*event(number), detail)])
            else:
                etcd.delete(event(number)[0])
        results.put(len(job))


def five_minutes(rng, objects, versions, events, lease_id):
    """What happens in them: (kind, number, version or lease), each object's versions in order."""
    due = [rng.randrange(FIRST_PLAIN, objects) for _ in range((objects - FIRST_PLAIN) // 600)]   # 2 % of the objects an hour
    due += range(NODES)                                   # node status: every five minutes
    due += list(range(NODES, 2 * NODES)) * 30             # node leases: every 10 s
    due += list(range(2 * NODES, FIRST_PLAIN)) * 150      # elections: every 2 s
    items = [("object", i, 0) for i in due]
    items += [("event", events + i, lease_id) for i in range(200)]
    items += [("end", events - 200 + i, 0) for i in range(200) if events > 0]
    rng.shuffle(items)
    for n, (kind, number, _) in enumerate(items):
        if kind == "object":
            versions[number] += 1
            items[n] = (kind, number, versions[number])
    return items


def churn(endpoint, objects, hours):
    jobs, results = multiprocessing.Queue(), multiprocessing.Queue()
    workers = [multiprocessing.Process(target=churn_worker, args=(endpoint, jobs, results)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    etcd, rng, versions, last_revision = Etcd(endpoint), random.Random("%d/churn" % SEED), collections.Counter(), 0
    for step in range(round(hours * 12)):
        queues = [[] for _ in range(WORKERS)]             # an object's changes go to one worker, so they stay in order
        for item in five_minutes(rng, objects, versions, step * 200, etcd.grant(3600)):
            queues[item[1] % WORKERS].append(item)
        for queue in queues:
            jobs.put(queue)
        for _ in queues:
            results.get()
        revision = etcd.revision()
        if last_revision:
            etcd.compact(last_revision)
        last_revision = revision
    for _ in workers:
        jobs.put(None)
    for worker in workers:
        worker.join()


def fill(endpoint, megabytes, hours=0.2, say=print):
    objects = load(endpoint, megabytes, say)
    churn(endpoint, objects, hours)
    return objects


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or "--help" in sys.argv:
        sys.exit(__doc__)
    print(fill(sys.argv[1], float(sys.argv[2]), *map(float, sys.argv[3:])), "objects")
