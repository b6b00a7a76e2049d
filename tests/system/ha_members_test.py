"""Who belongs to a cluster: joins that crash or are refused, nodes that leave, tokens, and who may ask for what."""
import re

from cluster import PATIENCE, Cluster, is_voter, members, members_now
from crash_test import need_strace, strace
from harness import check, contains, equal, wait_for


def ok(result):
    check(result.code == 0, result)
    return result


def refused(server, *flags):
    """A start that ends by itself, soon, with an error."""
    result = server.bench.run(*server.server_args(*flags), env=server.env, timeout=PATIENCE)
    check(result.code != 0, "it should have been refused", result)
    return result


def join_again_after(cluster, server, kill):
    """A join that `kill` ends somewhere; the next start joins, and the cluster is as if nothing had been."""
    before = sorted(members_now(cluster.first))
    server.flags = cluster.join_flags()
    kill(server)
    cluster.wait_joined(server.launch())
    equal(sorted(members_now(cluster.first)), sorted([*before, server.name]), "members")
    cluster.wait_nodes({name: "Ready" for name in [*before, server.name]})
    ok(cluster.first.holdfast("node", "remove", server.name))
    server.process.wait(PATIENCE)
    cluster.wait_nodes({name: "Ready" for name in before})


def test_a_join_that_is_killed_while_it_writes_its_files_is_done_again(bench):
    need_strace(bench)
    cluster = Cluster(bench, servers=1).start()

    def kill_at(rename):
        def kill(server):
            server.process = server.host.spawn(strace("signal=KILL", "rename", rename, *server.server_args()), server.log.name,
                                               env=server.env)
            equal(server.process.wait(PATIENCE), -9, "exit code of a join killed at file", rename)
        return kill

    # passwd, one of the CAs' files, the first of its own certificates, the token, the name for etcd (then it is a member)
    for rename in 1, 6, 13, 21, 22:
        join_again_after(cluster, cluster.lab.add(f"file-{rename}").server(), kill_at(rename))


def test_a_join_that_is_killed_on_its_way_to_a_voter_is_done_again(bench):
    cluster = Cluster(bench, servers=2).start()

    def kill_when(condition):
        def kill(server):
            server.launch()
            wait_for(lambda: condition(server), "the moment to kill the join")
            server.kill()
        return kill

    moments = {
        "added": lambda server: len(members(cluster.first)) == 3,
        "etcd-runs": lambda server: server.etcd_pids(),
        "known": lambda server: server.name in members(cluster.first),
        "healthy": lambda server: "etcd is healthy" in server.log_text(),
        "voter": is_voter}
    for name, condition in moments.items():
        join_again_after(cluster, cluster.lab.add(name).server(), kill_when(condition))


def test_a_join_waits_for_a_server_that_is_not_there_yet_and_says_why(bench):
    cluster = Cluster(bench, servers=2)
    cluster.first.start()
    cluster.lab.cut(cluster.first.host)
    server = cluster.launch_join(cluster.servers[1])
    wait_for(lambda: cluster.first.host.address in server.log_text(), "the joining server to say what it waits for")
    cluster.lab.heal()
    cluster.wait_joined(server)


def test_a_second_node_of_the_same_name_is_refused(bench):
    cluster = Cluster(bench, servers=2).start()
    double = cluster.lab.add("double").server()
    double.name = "server-1"
    result = refused(double, *cluster.join_flags())
    contains(result.err, "duplicate node name found, please use a unique name for this node")
    equal(sorted(members_now(cluster.first)), ["server-0", "server-1"])
    cluster.wait_all_ready()


def test_a_wrong_token_is_refused(bench):
    cluster = Cluster(bench, servers=1)
    cluster.first.start()
    stranger = cluster.lab.add("stranger").server()
    url, token = f"--server={cluster.first.url}", cluster.first.token
    hash_part = token.split("::")[0]
    wrong_password = refused(stranger, url, f"--token={hash_part}::server:wrong")
    wrong_hash = refused(stranger, url, f"--token=K10{'0' * 64}::server:{cluster.first.password}")
    contains(wrong_hash.err, "token CA hash does not match the Cluster CA certificate hash")
    for result in wrong_password, wrong_hash:
        check(cluster.first.password not in result.err, "the log holds a secret")
    check(not (stranger.db / "etcd/member").exists(), "there are data of a cluster that was not joined")
    equal(sorted(members_now(cluster.first)), ["server-0"])


def test_a_bare_token_trusts_the_first_certificate_and_says_so(bench):
    cluster = Cluster(bench, servers=2)
    cluster.first.start()
    second = cluster.servers[1]
    second.flags = [f"--server={cluster.first.url}", f"--token={cluster.first.password}"]
    cluster.wait_joined(second.launch())
    contains(second.log_text().lower(), "trust")


def test_an_agent_token_does_not_open_what_is_for_servers(bench):
    cluster = Cluster(bench, servers=1, agents=1)
    cluster.first.flags = ["--agent-token=for-agents"]
    cluster.first.start()
    agent_token = cluster.first.token.split("::")[0] + "::node:for-agents"
    cluster.agents[0].start(token=agent_token)
    cluster.wait_all_ready()
    for method, path in ("GET", "/v1-holdfast/server-bootstrap"), ("DELETE", "/v1-holdfast/nodes"):
        equal(cluster.first.request(method, path, user="node", password="for-agents")[0], 403, method, path, "as an agent")
        equal(cluster.first.request(method, path, user="node", password="guess")[0], 401, method, path, "with a wrong token")
        equal(cluster.first.request(method, path)[0], 401, method, path, "without a token")
    server = cluster.lab.add("greedy").server()
    refused(server, f"--server={cluster.first.url}", f"--token={agent_token}")
    equal(sorted(members_now(cluster.first)), ["server-0"])


def test_a_node_that_is_removed_leaves_sets_its_data_aside_and_may_come_back(bench):
    cluster = Cluster(bench, agents=1).start()
    leaving = cluster.wait_leader()  # so leadership has to move first
    stay = [server for server in cluster.servers if server is not leaving]
    ok(stay[0].holdfast("node", "remove", leaving.name))
    equal(sorted(members_now(stay[0])), sorted(server.name for server in stay))
    wait_for(lambda: "remove" in leaving.log_text(), "the removed server to say so", PATIENCE)
    cluster.agents[0].etcdctl("put", "/key/1", "x")
    wait_for(lambda: leaving.name not in cluster.nodes(stay[0]), "the node to be gone from node ls", PATIENCE)
    equal(leaving.process.wait(PATIENCE), 4, "exit code of the removed server")
    leaving.flags = cluster.join_flags(to=stay[0]) if leaving is not cluster.first else [f"--server={stay[0].url}"]
    cluster.wait_joined(leaving.launch())
    check([p for p in leaving.db.iterdir() if p.name.startswith("etcd-")], "its data were not set aside")
    cluster.wait_all_ready(seen_from=stay[0])
    cluster.check_equal()


def test_what_would_end_the_cluster_is_not_removed(bench):
    cluster = Cluster(bench, agents=1).start()
    first, second, dead = cluster.servers
    dead.kill()
    result = first.holdfast("node", "remove", second.name)  # one of two that are left would be without a quorum
    check(result.code != 0, "quorum was given away", result)
    equal(sorted(members_now(first)), ["server-0", "server-1", "server-2"])
    result = first.holdfast("node", "remove", dead.name)
    check(result.code != 0, "a dead server was removed without --force", result)
    contains(result.err, "--force")
    ok(first.holdfast("node", "remove", dead.name, "--force"))
    equal(sorted(members_now(first)), ["server-0", "server-1"])
    ok(first.holdfast("node", "remove", second.name))
    result = first.holdfast("node", "remove", first.name, "--force")
    check(result.code != 0, "the last voter was removed", result)
    first.etcdctl("put", "/key/1", "x")
    check(first.holdfast("node", "remove", "nobody").code != 0, "a node that is not there was removed")


def test_a_member_that_never_started_is_shown_and_removed(bench):
    cluster = Cluster(bench, servers=1).start()
    first = cluster.first
    added = first.etcdctl("member", "add", "x", "--learner", "--peer-urls=https://192.0.2.200:2380")
    member = re.search(r"Member +([0-9a-f]+) added", added).group(1)
    cluster.wait_nodes({"server-0": "Ready", member: "NotReady"})
    contains(ok(first.holdfast("node", "ls")).err, f"{member} is not ready: it was added to the cluster and has not started yet")
    check(first.holdfast("node", "remove", member).code != 0, "it was removed without --force")
    ok(first.holdfast("node", "remove", member, "--force"))
    cluster.wait_nodes({"server-0": "Ready"})


def test_tokens_are_rotated_and_old_snapshots_keep_theirs(bench):
    cluster = Cluster(bench, servers=2).start()
    first, second = cluster.servers
    first.etcdctl("put", "/key/1", "x")
    old_token, old_snapshot = first.token, first.save("--name=old")
    shown = ok(first.holdfast("token", "show"))
    contains(shown.out, old_token)
    result = ok(first.holdfast("token", "rotate", "--new-token=the-new-one"))
    contains(result.out + result.err, "Token rotated, restart holdfast nodes with new token")
    check(first.token.endswith("::server:the-new-one"), "the token file holds the old one")
    third = cluster.lab.add("server-2").server()
    refused(third, f"--server={first.url}", f"--token={old_token}")
    cluster.stop()
    second.flags = cluster.join_flags()
    cluster.start_again()
    cluster.join(third)
    cluster.servers.append(third)
    cluster.wait_all_ready()
    new_snapshot = first.save("--name=new")
    cluster.stop()

    result = first.restore(old_snapshot)
    check(result.code != 0, "a snapshot was restored with a token that is not its own", result)
    contains(result.err, "token")
    ok(first.restore(new_snapshot))
    ok(first.restore(old_snapshot, f"--token={old_token}"))
    first.start()
    equal(first.etcdctl("get", "/key/1", "--print-value-only").strip(), "x")


def test_certificates_are_renewed_and_the_cluster_goes_on(bench):
    cluster = Cluster(bench, servers=3).start()
    second = cluster.servers[1]
    certificate = second.data_dir / "server/tls/etcd/peer-server-client.crt"
    before = certificate.read_bytes()
    second.stop()
    ok(second.holdfast("certificate", "rotate"))
    second.start()
    cluster.wait_joined(second)
    check(certificate.read_bytes() != before, "the certificate is the old one")
    cluster.first.stop()  # the others need each other now
    second.etcdctl("put", "/key/1", "x")
    cluster.first.start()
    cluster.wait_all_ready()
