"""A cluster in good and bad days: servers join, agents reach it through localhost, members die, are cut off and come back, and
nothing that was acknowledged is lost."""
import json
import os
import pathlib
import re
import signal

from cluster import PATIENCE, Cluster, Writer, kill_leaders, member_id, members_now, writer_to_all
from harness import check, contains, equal, through_elections, wait_for


def values(server, prefix="/key/"):
    return sorted(server.etcdctl("get", prefix, "--prefix", "--print-value-only").split())


def ok(result):
    check(result.code == 0, result)
    return result


def arguments(pid):
    return pathlib.Path(f"/proc/{pid}/cmdline").read_text()


def writer_through(cluster, agent):
    return Writer(agent.host, [("127.0.0.1", 2379)], agent.tls)


def test_three_servers_and_an_agent_are_one_cluster(bench):
    cluster = Cluster(bench, servers=3, agents=1).start()
    agent, names = cluster.agents[0], [server.name for server in cluster.servers]
    for server in cluster.servers:
        server.etcdctl("put", f"/key/{server.name}", server.name)
    agent.etcdctl("put", "/key/agent-0", "agent-0")
    for server in cluster.servers:
        equal(values(server), ["agent-0", *names], "seen by", server.name)
    equal(agent.etcdctl("get", "/key/server-2", "--print-value-only").strip(), "server-2")
    cluster.wait_all_ready()
    cluster.wait_all_ready(seen_from=cluster.servers[2])
    cluster.check_equal()
    logs = "".join(server.log_text() for server in cluster.servers)
    for server in cluster.servers[1:]:
        check(re.search(f"Learner {server.name}-[0-9a-f]+ has caught up and is a voter now", logs), logs)
    for server in cluster.servers:
        equal(server.password, cluster.first.password, "the token of", server.name)
    for node in [*cluster.servers, agent]:
        for place, text in ("log", node.log_text()), ("ps", arguments(node.process.pid)):
            check(cluster.first.password not in text, "the token stands in", place, "of", node.name)
    cluster.stop()


def test_a_cluster_starts_again_in_any_order_and_all_at_once(bench):
    cluster = Cluster(bench).start()
    cluster.first.etcdctl("put", "/key/1", "one")
    for server in cluster.servers:
        server.stop()
        server.start()
        cluster.wait_joined(server)
    cluster.stop()
    cluster.start_again()
    for server in cluster.servers:
        server.kill()
    for server in reversed(cluster.servers):
        server.launch()
    cluster.wait_joined(*cluster.servers)
    equal([values(server) for server in cluster.servers], [["one"]] * 3)
    cluster.wait_all_ready()
    cluster.check_equal()


def test_five_servers_go_on_when_two_die(bench):
    cluster = Cluster(bench, servers=5).start()
    writer = writer_to_all(cluster)
    writer.wait_progress()
    for server in cluster.servers[3:]:
        server.kill()
    writer.wait_progress()
    cluster.wait_nodes({f"server-{i}": "Ready" if i < 3 else "NotReady" for i in range(5)})
    cluster.start_again(*cluster.servers[3:])
    cluster.wait_all_ready()
    writer.wait_progress()
    writer.stop()
    for server in cluster.servers:
        writer.check_nothing_lost(server)
    cluster.check_equal()


def test_no_acknowledged_key_is_lost_while_leaders_are_killed(bench):
    cluster = Cluster(bench).start()
    writer = writer_to_all(cluster)
    kill_leaders(cluster, writer, times=5)
    writer.stop()
    for server in cluster.servers:
        writer.check_nothing_lost(server)
    cluster.check_equal()


def test_no_acknowledged_key_is_lost_while_hosts_are_cut_off(bench):
    cluster = Cluster(bench, agents=1).start()
    lab, writer = cluster.lab, writer_through(cluster, cluster.agents[0])
    faults = [lambda host: lab.cut(host), lambda host: lab.unplug(host), lambda host: lab.lose(30, host),
              lambda host: lab.delay(100, host)]
    for fault in faults:
        writer.wait_progress()
        fault(cluster.wait_leader().host)
        writer.wait_progress()
        lab.heal()
        cluster.wait_joined(*cluster.servers)
    cluster.wait_all_ready()
    writer.wait_progress()
    writer.stop()
    for server in cluster.servers:
        writer.check_nothing_lost(server)
    cluster.check_equal()


def test_a_server_without_its_cluster_says_so_and_serves_nothing(bench):
    cluster = Cluster(bench).start()
    lonely, others = cluster.servers[2], cluster.servers[:2]
    cluster.first.etcdctl("put", "/key/1", "old")
    cluster.lab.cut(lonely.host)

    def misses_a_leader():
        code, text = lonely.get("/readyz")
        return code != 200 and "leader" in text
    wait_for(misses_a_leader, "the lonely server to say that it has no leader", PATIENCE)
    wait_for(lambda: cluster.leader(others) in others, "a leader of the others", PATIENCE)
    cluster.first.etcdctl("put", "/key/1", "new")
    check(lonely.try_etcdctl("get", "/key/1", "--command-timeout=3s").code != 0, "it serves without a leader")
    check(lonely.try_etcdctl("put", "/key/2", "x", "--command-timeout=3s").code != 0, "it takes writes without a leader")
    cluster.wait_nodes({"server-0": "Ready", "server-1": "Ready", "server-2": "NotReady"})
    cluster.lab.heal()
    cluster.wait_joined(lonely)
    equal(values(lonely), ["new"])
    cluster.wait_all_ready()


def test_the_agents_endpoint_works_while_servers_die_and_return(bench):
    cluster = Cluster(bench, agents=1).start()
    agent = cluster.agents[0]
    for server in cluster.servers:
        server.kill()
        agent.etcdctl("put", f"/key/{server.name}", "killed")
        server.start()
        cluster.wait_joined(server)
        cluster.lab.cut(server.host)
        agent.etcdctl("put", f"/key/{server.name}-cut", "cut")
        cluster.lab.heal()
        cluster.wait_joined(server)
    equal(values(cluster.first), ["cut"] * 3 + ["killed"] * 3)


def test_a_server_that_hangs_leaves_the_agents_ready_and_their_other_backends_alone(bench):
    cluster = Cluster(bench, agents=1).start()
    cluster.wait_all_ready()
    leader = cluster.wait_leader()  # without it there would be nobody to tell about the cluster for a moment
    agent, hanging = cluster.agents[0], next(server for server in reversed(cluster.servers) if server is not leader)
    healthy = [server for server in cluster.servers if server is not hanging]
    before, log_before = len(agent.backends()), len(agent.log_text())
    for pid in hanging.process.pid, *hanging.etcd_pids():
        os.kill(pid, signal.SIGSTOP)  # it takes connections and answers nothing
    agent.wait_backends(*healthy)
    # Its sign of life lasts as long as an agent's, and is younger than the last one that the agent could give before.
    wait_for(lambda: not leader.etcdctl("get", f"holdfast/alive/{hanging.name}", "--keys-only").strip(), "its lease to run out",
             PATIENCE)
    cluster.wait_nodes({**{server.name: "Ready" for server in healthy}, hanging.name: "NotReady", "agent-0": "Ready"}, leader)
    equal(len(agent.backends()) - before, 1, "changes of the agent's backends")
    check("no server tells about the cluster" not in agent.log_text()[log_before:], agent.log_text())
    for pid in hanging.process.pid, *hanging.etcd_pids():
        os.kill(pid, signal.SIGCONT)
    agent.wait_backends(*cluster.servers)
    cluster.wait_all_ready()


def test_an_agent_that_starts_again_finds_the_servers_it_knew(bench):
    cluster = Cluster(bench, agents=1).start()
    agent = cluster.agents[0]
    agent.stop()
    cluster.first.kill()  # the one that --server names
    agent.start()
    agent.etcdctl("put", "/key/1", "x")
    equal(values(cluster.servers[1]), ["x"])
    cluster.first.start()
    cluster.wait_all_ready()
    agent.process.kill()
    expected = {server.name: "Ready" for server in cluster.servers}
    cluster.wait_nodes({**expected, "agent-0": "NotReady"})
    agent.start()
    cluster.wait_all_ready()


def test_an_agent_knows_servers_that_join_later(bench):
    cluster = Cluster(bench, servers=2, agents=1).start()
    late = cluster.lab.add("server-2").server()
    cluster.join(late)
    cluster.servers.append(late)
    cluster.agents[0].wait_backends(*cluster.servers)
    cluster.first.kill()
    cluster.agents[0].etcdctl("put", "/key/1", "x")
    equal(values(late), ["x"])


def test_an_agent_that_is_removed_ends_and_comes_back_when_it_is_started(bench):
    cluster = Cluster(bench, servers=2, agents=1).start()
    cluster.wait_all_ready()
    agent, second = cluster.agents[0], cluster.servers[1]
    ok(cluster.first.holdfast("node", "remove", agent.name))
    equal(agent.process.wait(PATIENCE), 4, "exit code of the agent")
    contains(agent.log_text(), "agent agent-0 was removed from the cluster")
    cluster.wait_nodes({"server-0": "Ready", "server-1": "Ready"})
    agent.start()
    cluster.wait_all_ready(seen_from=second)
    # Removed while it is cut off: it learns of it when it is back.
    cluster.lab.cut(agent.host)
    cluster.wait_nodes({"server-0": "Ready", "server-1": "Ready", "agent-0": "NotReady"})
    ok(second.holdfast("node", "remove", agent.name))
    cluster.lab.heal()
    equal(agent.process.wait(PATIENCE), 4, "exit code of the agent")
    cluster.wait_nodes({"server-0": "Ready", "server-1": "Ready"})


def test_a_rolling_restart_under_load_loses_nothing(bench):
    cluster = Cluster(bench, agents=1).start()
    writer = writer_through(cluster, cluster.agents[0])
    for server in cluster.servers:
        writer.wait_progress()
        server.stop()
        writer.wait_progress()
        server.start()
        cluster.wait_joined(server)
    writer.wait_progress()
    writer.stop()
    for server in cluster.servers:
        writer.check_nothing_lost(server)
    cluster.check_equal()


def test_a_full_disk_stops_one_member_and_not_the_cluster(bench):
    cluster = Cluster(bench)
    poor = cluster.servers[2]
    poor.data_dir.mkdir()
    bench.ok("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", poor.data_dir)
    bench.stack.callback(bench.run, "umount", "-l", poor.data_dir)
    cluster.start()
    filler = poor.data_dir / "filler"
    bench.run("fallocate", "-l", "1g", filler)  # as much as there is
    bench.run("dd", "if=/dev/zero", f"of={filler}", "bs=1M")
    for i in range(400):
        cluster.first.etcdctl("put", f"/big/{i}", "v" * 100_000)
        if "no space left" in poor.log_text():
            break
    cluster.wait_nodes({"server-0": "Ready", "server-1": "Ready", "server-2": "NotReady"})
    contains(poor.log_text(), "no space left")
    filler.unlink()
    wait_for(lambda: poor.process.poll() is not None or not is_down(poor), "the server to go on or to give up", PATIENCE)
    if poor.process.poll() is not None:
        poor.launch()
    cluster.wait_joined(poor)
    cluster.wait_all_ready()
    cluster.check_equal()


def is_down(server):
    return server.get("/readyz")[0] != 200


def test_a_new_address_is_noticed(bench):
    cluster = Cluster(bench).start()
    server = cluster.servers[2]
    before = wait_for(lambda: member_id(server), "its member id")
    server.stop()
    cluster.lab.give_address(server.host, "192.0.2.99")
    server.start()
    cluster.wait_joined(server)
    wait_for(lambda: members_now(cluster.first)["server-2"]["peerURLs"] == ["https://192.0.2.99:2380"], "the new peer URL")
    wait_for(lambda: members_now(cluster.first)["server-2"]["clientURLs"] == ["https://192.0.2.99:2379"], "the new client URL")
    equal(wait_for(lambda: member_id(server), "its member id"), before, "member id")
    cluster.first.etcdctl("put", "/key/1", "x")
    equal(values(server), ["x"])
    cluster.wait_all_ready()


def test_each_server_takes_its_snapshots_and_all_are_listed_everywhere(bench):
    cluster = Cluster(bench).start()
    saved = {server.save("--name=mine").name for server in cluster.servers}
    equal(len(saved), 3, saved)
    for server in cluster.servers:
        wait_for(lambda: saved <= set(server.names()), f"{server.name} to list the snapshots of all", PATIENCE)
        equal([name for name in server.names("--local") if name in saved], [p.name for p in server.snapshots.glob("mine-*")])
    table = cluster.first.snapshot("ls").out
    for server in cluster.servers:
        contains(table, server.name)
    # Another server may be asked by the words that server and agent know.
    second, dead = cluster.servers[1:]
    named = ok(cluster.first.snapshot("ls", "--local", f"--server={second.url}", f"--token={second.token}"))
    equal([server.name in named.out for server in cluster.servers], [False, True, False], named)
    dead.kill()
    for flags in [], ["-o", "json"]:
        def without_the_dead():  # who is slow is left out, too
            result = ok(cluster.first.snapshot("ls", *flags))
            return result if second.name not in result.err else None
        result = wait_for(without_the_dead, "the others to tell their snapshots", PATIENCE)
        contains(result.err, f"The list is without the snapshots of {dead.name}")
        check(dead.name not in result.out, result)
    equal(len([item for item in json.loads(result.out)["items"] if item["spec"]["snapshotName"] in saved]), 2)

    def ready_nodes():
        nodes = through_elections(lambda: second.holdfast("node", "ls", "-o", "json", f"--server={cluster.first.url}"))
        return [n["name"] for n in json.loads(ok(nodes).out)["nodes"] if n["ready"]]
    wait_for(lambda: ready_nodes() == ["server-0", "server-1"], "node ls of another server to tell who is left", PATIENCE)
