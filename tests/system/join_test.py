"""Several servers on one machine: joining, leaving, and data that are fenced. Needs no namespaces; what hosts and networks do to
a cluster is in ha_*.py."""
import hashlib
import json
import shutil

from harness import Server, check, contains, equal, through_elections, wait_for


class Node(Server):
    """A server that may have peers: all on 127.0.0.1, told apart by ports."""

    # Peers must not be taken for dead on a loaded machine.
    FAST = ["--etcd-arg=heartbeat-interval=100", "--etcd-arg=election-timeout=1000"]

    def server_args(self, *flags):
        return [*super().server_args(), f"--node-name={self.name}", *flags]

    @property
    def url(self):
        return f"https://127.0.0.1:{self.supervisor_port}"

    def join(self, first, *flags):
        return self.start(f"--server={first.url}", f"--token={first.token}", *flags)

    def launch_join(self, first, *flags):
        return self.launch(f"--server={first.url}", f"--token={first.token}", *flags)

    def ends(self, code):
        equal(self.process.wait(90), code, "exit code of", self.name)


def nodes(server):
    result = through_elections(lambda: server.holdfast("node", "ls", "-o", "json"))
    check(result.code == 0, "node ls", result)
    return {node["name"]: node for node in json.loads(result.out)["nodes"]}


def members(server):
    server.etcdctl("get", "x")  # through the leader: after it the member knows what was done before
    return {m.get("name", "")[:-9]: m for m in json.loads(server.etcdctl("member", "list", "-w", "json"))["members"]}


def value(server, key):
    return server.etcdctl("get", key, "--print-value-only").strip()


def check_equal(*servers):
    revision = servers[0].revision()
    for server in servers:
        server.etcdctl("get", "x")  # through the leader: now it has that revision, too
    equal([s.hash_kv(revision) for s in servers], [servers[0].hash_kv(revision)] * len(servers), "HashKV at revision", revision)


def three(bench):
    first = Node(bench, "n1").start()
    return first, Node(bench, "n2").join(first), Node(bench, "n3").join(first)


def test_servers_join_and_start_again_in_any_order(bench):
    all_three = first, second, third = three(bench)
    equal(sorted(members(third)), ["n1", "n2", "n3"])
    check(not any(m.get("isLearner") for m in members(first).values()), "somebody is no voter")
    second.etcdctl("put", "/k", "1")
    equal(value(third, "/k"), "1")
    wait_for(lambda: all(n["ready"] and n["address"] == "127.0.0.1" for n in nodes(second).values()), "all nodes to be ready")
    wait_for(lambda: sum(n["leader"] for n in nodes(second).values()) == 1, "one leader")
    for server in all_three:
        check(first.password not in server.log_text(), "a secret is in the log of", server.name)
    for server in all_three:
        server.stop()
    for server in third, second:
        server.launch_join(first)
    wait_for(lambda: "no quorum" in third.get("/readyz")[1] or third.get("/readyz")[0] == 200, "the state to have a name")
    first.start()
    for server in second, third:
        server.wait_ready()
        equal(value(server, "/k"), "1")
    check_equal(*all_three)


def test_a_join_that_is_killed_anywhere_is_done_again(bench):
    first = Node(bench, "n1").start()
    for number, words in enumerate(["Joining the cluster", "as a learner", "Supervisor listens", "etcd is healthy"]):
        server = Node(bench, f"j{number}").launch_join(first)
        wait_for(lambda: words in server.log_text(), f"the join to say {words!r}")
        server.kill()
        server.join(first)
        equal(sorted(members(first)), sorted(["n1", server.name]), "after a kill at", words)
        result = first.holdfast("node", "remove", server.name)
        check(result.code == 0, result)
        server.ends(4)


def test_names_tokens_and_settings_that_do_not_fit_are_refused(bench):
    first = Node(bench, "n1").start()
    for flags, code, words in (
            (["--node-name=n1"], 1, "duplicate node name found"),
            (["--token=wrong"], 4, "password"),
            ([f"--token=K10{'0' * 64}::server:x"], 4, "token CA hash does not match"),
            (["--etcd-arg=election-timeout=2000"], 1, "critical configuration value mismatch")):
        server = Node(bench, "x").launch_join(first, *flags)
        server.ends(code)
        contains(server.log_text(), words)
        check(not (server.db / "etcd/member").exists(), "there are data")
        server.log.unlink()
        shutil.rmtree(server.data_dir)
    equal(sorted(members(first)), ["n1"])


def test_a_removed_server_stops_sets_its_data_aside_and_may_come_back(bench):
    first, second, third = three(bench)
    third.etcdctl("put", "/k", "1")
    leader = wait_for(lambda: next((s for s in (first, second, third) if nodes(first)[s.name]["leader"]), None), "a leader")
    if leader is first:  # so that leadership moves
        other = next(n for n in nodes(first).values() if n["name"] == "n2")["memberID"]
        first.etcdctl("move-leader", other)
        leader = second
    stays = [s for s in (first, second, third) if s is not leader]
    result = first.holdfast("node", "remove", leader.name)
    check(result.code == 0, result)
    leader.ends(4)
    contains(leader.log_text(), "was removed from the cluster")
    equal(sorted(members(first)), sorted(s.name for s in stays))
    check(leader.name not in nodes(first), "it is still a node")
    # --server does not answer: nothing moves, and without --server it begins no cluster of its own.
    leader.launch(f"--server=https://127.0.0.1:{bench.port()}", f"--token={first.token}")
    wait_for(lambda: "Waiting to get the cluster's data" in leader.log_text(), "the rejoin to wait")
    check((leader.db / "etcd/member").exists(), "its data were moved before the cluster answered")
    leader.stop()
    leader.launch().ends(4)
    leader.join(first)
    check(list(leader.db.glob("etcd-backup-*")), "its data were not set aside")
    leader.kill()
    shutil.move(leader.db / "etcd", leader.db.parent / "etcd-away")  # as a crash before it has joined leaves it
    leader.launch().ends(1)
    contains(leader.log_text(), "would begin an empty cluster")
    shutil.move(leader.db.parent / "etcd-away", leader.db / "etcd")
    leader.join(first)
    equal(value(leader, "/k"), "1")
    third.kill()
    refused = first.holdfast("node", "remove", "n2")
    check(refused.code != 0 and "quorum" in refused.err, refused)
    refused = first.holdfast("node", "remove", "n3")
    check(refused.code != 0 and "--force" in refused.err, refused)
    check(first.holdfast("node", "remove", "n3", "--force").code == 0)
    check(first.holdfast("node", "remove", "n2").code == 0)
    refused = first.holdfast("node", "remove", "n1", "--force")
    check(refused.code != 0 and "last voter" in refused.err, refused)


def test_data_from_before_a_restore_are_never_served_again(bench):
    first, second, third = three(bench)
    second.save()
    first.etcdctl("put", "/k", "before")
    snapshot = first.save()
    first.etcdctl("put", "/k", "after")
    for server in first, second, third:
        server.stop()
    result = first.restore(snapshot)
    check(result.code == 0, result)
    contains(result.err, "--rejoin --server")
    first.start()
    wait_for(lambda: nodes(first)["n2"]["ready"] is False, "the others to be NotReady")
    second.launch_join(first).ends(4)
    contains(second.log_text(), "as it was before a reset")
    second.launch().ends(4)  # without --server: by the servers it remembers
    before = second.db / "etcd/name"
    check(before.exists(), "data were moved although nobody asked")
    kept = second.names()
    second.join(first, "--rejoin")
    equal(second.names("--local"), kept, "snapshots")
    wait_for(lambda: second.names() == kept + [snapshot.name], "the list to have those of all servers")
    check(list(second.db.glob("etcd-old-*")), "the old data are gone")
    shutil.rmtree(third.db)
    third.join(first)
    for server in first, second, third:
        equal(value(server, "/k"), "before", "on", server.name)
    second.stop()
    second.join(first, "--rejoin")  # left in a configuration it does nothing
    check_equal(first, second, third)


def test_the_survivor_of_a_lost_quorum_goes_on_and_the_others_rejoin(bench):
    first, second, third = three(bench)
    third.etcdctl("put", "/k", "1")
    first.kill()
    second.kill()
    wait_for(lambda: "no quorum: 1 of 3" in third.get("/readyz")[1], "the missing quorum to be named")
    check(not nodes(third)["n3"]["ready"], "node ls says Ready without quorum")
    third.stop()
    result = third.reset()
    check(result.code == 0, result)
    third.start()
    first.launch(f"--server={third.url}").ends(4)
    first.join(third, "--rejoin")
    second.join(third, "--rejoin")
    equal(value(second, "/k"), "1")


def test_an_old_cluster_that_runs_when_the_restored_one_returns_ends(bench):
    first, second, third = three(bench)
    snapshot = first.save()
    for server in first, second, third:
        server.stop()
    check(first.restore(snapshot).code == 0)
    for server in second, third:
        server.launch_join(first)
    for server in second, third:
        server.wait_ready()  # nobody could tell them
    first.start()
    second.ends(4)
    third.ends(4)


def test_a_token_is_rotated(bench):
    first, second, _ = three(bench)
    old, snapshot = first.token, first.save()
    result = second.holdfast("token", "rotate", "--new-token=the-new-one")
    check(result.code == 0, result)
    contains(result.err, "Token rotated, restart holdfast nodes with new token")
    check("the-new-one" not in result.err + second.log_text(), "a secret is in the log")
    check(second.token.endswith("::server:the-new-one"))
    equal(second.request("GET", "/v1-holdfast/config", password="the-new-one")[0], 200)
    equal(second.request("GET", "/v1-holdfast/config", password=old.split(":")[-1])[0], 401)
    contains(second.holdfast("token", "show").out, second.token)
    between = first.save("--name=between")  # by a server that still has the old one
    manifest = json.loads((between.parent.parent / ".metadata" / between.name).read_text())
    equal(manifest["holdfast-token-hash"], hashlib.sha256(b"the-new-one").hexdigest()[:12], "the token that opens it")
    first.stop()
    first.start(f"--token={second.token}")
    equal(first.token, second.token)
    first.stop()
    refused = first.restore(snapshot)
    check(refused.code == 4 and "token" in refused.err, refused)


def test_a_server_that_was_not_told_the_agents_token_keeps_it(bench):
    first = Node(bench, "n1").start("--agent-token=for-agents")
    second, third = Node(bench, "n2").join(first), Node(bench, "n3").join(first)
    agents = {"user": "node", "password": "for-agents"}
    first.stop()  # --server does not answer
    second.stop()
    second.join(first)
    for server in second, third:
        equal(server.get("/metrics", **agents)[0], 200, server.name)
    check("Bootstrap data in the datastore are brought up to date" not in second.log_text(), "it changed what the others get")
    second.stop()
    first.start("--agent-token=others")  # who is told decides
    second.join(first)
    equal(second.get("/metrics", **agents)[0], 401)
    equal(second.get("/metrics", user="node", password="others")[0], 200)


def test_certificates_are_made_anew_when_asked(bench):
    first = Node(bench, "n1").start()
    path = first.server_dir / "tls/etcd/server-client.crt"
    before, ca = path.read_bytes(), (first.server_dir / "tls/server-ca.crt").read_bytes()
    refused = first.holdfast("certificate", "rotate")
    check(refused.code != 0, "while the server runs", refused)
    first.stop()
    check(first.holdfast("certificate", "rotate").code == 0)
    first.start()
    check(path.read_bytes() != before, "the certificate is the old one")
    equal((first.server_dir / "tls/server-ca.crt").read_bytes(), ca)


def expires_soon(bench, server, tls, name):
    """Another certificate for the agent's key, with 99 days left."""
    ca = server.data_dir / "server/tls/etcd/server-ca"
    bench.ok("openssl", "req", "-new", "-key", tls / "client.key", "-subj", f"/CN={name}", "-out", bench.dir / "request.pem")
    (bench.dir / "usage").write_text("extendedKeyUsage = clientAuth\n")
    bench.ok("openssl", "x509", "-req", "-in", bench.dir / "request.pem", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial",
             "-CAserial", bench.dir / "serial", "-days", "99", "-extfile", bench.dir / "usage", "-out", tls / "client.crt")


def test_an_agent_with_the_servers_password_starts_again_where_agents_have_their_own(bench):
    server = Node(bench, "n1").start("--agent-token=for-agents")
    for _ in range(2):
        agent = bench.spawn([server.program, "agent", f"--server={server.url}", f"--token={server.password}", "--node-name=w1",
                             "--node-ip=127.0.0.1", f"--etcd-client-port={bench.port()}"], "agent.log",
                            env={"HOLDFAST_DATA_DIR": str(bench.dir / "agent"), "HOLDFAST_CONFIG_FILE": str(bench.dir / "none")})
        wait_for(lambda: nodes(server).get("w1", {}).get("ready"), "the agent to be Ready")
        agent.terminate()
        equal(agent.wait(30), 0)
        check(server.holdfast("node", "remove", "w1", "--force").code == 0)


def test_an_agent_reaches_the_cluster_on_its_own_port(bench):
    all_three = first, second, _ = three(bench)
    wait_for(lambda: len(nodes(first)) == 3 and all(n["ready"] for n in nodes(first).values()), "all to be ready")
    port, data = bench.port(), bench.dir / "agent"
    env = {"HOLDFAST_DATA_DIR": str(data), "HOLDFAST_CONFIG_FILE": str(bench.dir / "none")}

    def launch():
        return bench.spawn([first.program, "agent", f"--server={first.url}", f"--token={first.token}", "--node-name=w1",
                            "--node-ip=127.0.0.1", f"--etcd-client-port={port}"], "agent.log", env=env)

    def etcdctl(*argv):
        tls = data / "agent/tls"
        return bench.run(first.etcd_dir / "etcdctl", "--endpoints", f"https://127.0.0.1:{port}", "--cacert",
                         tls / "etcd-server-ca.crt", "--cert", tls / "client.crt", "--key", tls / "client.key",
                         "--command-timeout=3s", *argv)
    agent = launch()
    wait_for(lambda: etcdctl("put", "/k", "1").code == 0, "the agent to pass connections on")
    wait_for(lambda: nodes(second).get("w1", {}).get("ready"), "the agent to be Ready")
    equal(nodes(second)["w1"]["role"], "agent")
    remembered = data / "agent/etc/holdfast-agent-load-balancer.json"
    for server in all_three:  # it asks every few seconds
        wait_for(lambda: server.url in remembered.read_text(), f"the agent to know {server.name}")
    for file in ("client.crt", "client.key"):
        equal((data / "agent/tls" / file).stat().st_mode & 0o777, 0o600, file)
    first.kill()
    wait_for(lambda: etcdctl("put", "/k", "2").code == 0, "the agent to use another server")
    agent.terminate()
    equal(agent.wait(30), 0)
    expires_soon(bench, first, data / "agent/tls", "holdfast-agent-w1")
    before = (data / "agent/tls/client.crt").read_text()
    agent = launch()  # the server it was told of is down
    wait_for(lambda: etcdctl("get", "/k").code == 0, "the agent to remember the others")
    wait_for(lambda: (data / "agent/tls/client.crt").read_text() != before, "another server to renew the certificate")
    wait_for(lambda: etcdctl("get", "/k").code == 0, "the new certificate to be taken")
    agent.terminate()
    equal(agent.wait(30), 0)
    shutil.rmtree(data / "agent/tls")
    (bench.dir / "agent.log").unlink()
    agent = launch()  # and now it needs the server that is down
    wait_for(lambda: "Waiting for the cluster" in (bench.dir / "agent.log").read_text(), "the agent to wait")
    agent.terminate()
    equal(agent.wait(30), 0, "exit code of an agent that was stopped while it waited")
    check(first.password not in (bench.dir / "agent.log").read_text(), "a secret is in the log")
