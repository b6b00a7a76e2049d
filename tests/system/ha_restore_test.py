"""Bringing a whole cluster back: the page's procedure word for word, `--rejoin`, new hosts, survivors; and never two clusters."""
import shutil

from cluster import PATIENCE, Agent, Cluster, cluster_id, members, members_now
from harness import check, contains, equal, tree, wait_for


def workload(server, prefix="/workload/"):
    return server.etcdctl("get", prefix, "--prefix", "--keys-only").split()


def runs_to_its_end(server, *flags):
    """A start that is expected to be refused."""
    result = server.bench.run(*server.server_args(*flags), env=server.env, timeout=PATIENCE)
    check(result.code != 0, "it should have been refused", result)
    return result


def ok(result):
    check(result.code == 0, result)
    return result


def cluster_with_snapshot(bench, **options):
    """Stopped; workload 1 is in the snapshot, workload 2 came later."""
    cluster = Cluster(bench, **options).start()
    cluster.wait_all_ready()  # the nodes are in the datastore, so in the snapshot too
    cluster.first.etcdctl("put", "/workload/1", "x")
    cluster.snapshot = cluster.first.save()
    cluster.servers[-1].etcdctl("put", "/workload/2", "x")
    for server in cluster.servers[1:]:
        server.snapshot_before = server.save()
    cluster.id = cluster_id(cluster.first)
    cluster.stop()
    return cluster


def check_restored(cluster):
    cluster.wait_all_ready()
    for server in cluster.servers:
        equal(workload(server), ["/workload/1"], "seen by", server.name)
    equal(len(members_now(cluster.first)), len(cluster.servers), "members")
    check(cluster_id(cluster.first) != cluster.id, "the cluster id is that of before")
    cluster.check_equal()


def test_the_cluster_is_as_it_was_when_the_snapshot_was_taken(bench):
    cluster = cluster_with_snapshot(bench, agents=1)
    first, by_hand, by_flag = cluster.servers
    result = ok(first.restore(cluster.snapshot))
    for peer in by_hand, by_flag:
        contains(result.out + result.err, peer.name)
    contains(result.out + result.err, "--rejoin")
    first.start()
    cluster.wait_nodes({"server-0": "Ready", "server-1": "NotReady", "server-2": "NotReady", "agent-0": "NotReady"})
    equal(workload(first), ["/workload/1"])

    shutil.rmtree(by_hand.db)  # the page's way
    cluster.wait_joined(by_hand.launch())
    by_flag.launch("--rejoin")
    cluster.wait_joined(by_flag)
    agent = cluster.agents[0].start()  # with what it remembers and the certificate it had
    equal(agent.etcdctl("get", "/workload/", "--prefix", "--keys-only").split(), ["/workload/1"])
    check_restored(cluster)
    check(by_flag.snapshot_before.exists(), "--rejoin removed a snapshot")
    check([p for p in by_flag.db.iterdir() if p.name.startswith("etcd-old-")], "the old data are not set aside")
    cluster.stop()
    cluster.start_again()
    agent.start()
    check_restored(cluster)


def test_old_data_are_refused_and_the_ways_on_are_told(bench):
    cluster = cluster_with_snapshot(bench)
    first, second, third = cluster.servers
    ok(first.restore(cluster.snapshot))
    first.start()
    before = tree(second.db / "etcd/member")
    result = runs_to_its_end(second)
    contains(result.err, "--rejoin")
    equal(tree(second.db / "etcd/member"), before, "old data")
    equal(len(members_now(first)), 1, "members")
    second.launch("--rejoin")
    cluster.wait_joined(second)
    # Also when another member than the first is asked.
    first.stop()
    first.launch()
    cluster.wait_joined(first)
    third.flags = cluster.join_flags(to=second)
    contains(runs_to_its_end(third).err, "--rejoin")


def test_old_members_that_run_when_the_restored_cluster_returns_end(bench):
    cluster = cluster_with_snapshot(bench)
    first, others = cluster.first, cluster.servers[1:]
    ok(first.restore(cluster.snapshot))
    for server in others:  # a majority of the old cluster; the restored one is not there to warn them
        server.launch()
    cluster.wait_joined(*others)
    first.start()
    for server in others:
        check(server.process.wait(PATIENCE) != 0, "an old member ended as if all were well")
        contains(server.log_text(), "--rejoin")
        check(server.try_etcdctl("get", "/workload/2", "--command-timeout=2s").code != 0, "it still serves")
    for server in others:
        server.launch("--rejoin")
    cluster.wait_joined(*others)
    check_restored(cluster)


def test_old_members_end_also_when_the_restore_brought_another_token_back(bench):
    cluster = Cluster(bench).start()
    cluster.wait_all_ready()
    first, others = cluster.first, cluster.servers[1:]
    first.etcdctl("put", "/workload/1", "x")
    old_token, snapshot = first.token, first.save()
    cluster.id = cluster_id(first)
    ok(first.holdfast("token", "rotate", "--new-token=the-new-one"))
    cluster.stop()
    for server in others:
        server.flags = cluster.join_flags()
    cluster.start_again()
    others[0].etcdctl("put", "/workload/2", "x")
    first.stop()  # the others go on: a majority
    ok(first.restore(snapshot, f"--token={old_token}"))
    first.start()
    for server in others:
        equal(server.process.wait(PATIENCE), 4, "exit code of a fenced server")
        contains(server.log_text(), "--rejoin")
        contains(server.log_text(), "The token there is another than this server's")
        check(server.try_etcdctl("get", "/workload/2", "--command-timeout=2s").code != 0, "it still serves")
    # And at their start, also without --server.
    for server, flags in zip(others, ([], [f"--server={first.url}"])):
        server.flags = []
        contains(runs_to_its_end(server, *flags, "--token=the-new-one").err, "The token there is another than this server's")
    equal(workload(first), ["/workload/1"])
    for server in others:
        server.flags = cluster.join_flags()  # with the token of before, as they were told
        server.launch("--rejoin")
        cluster.wait_joined(server)
    check_restored(cluster)


def test_a_member_that_was_cut_off_during_the_reset_serves_nothing_old(bench):
    cluster = cluster_with_snapshot(bench)
    cluster.start_again()
    first, second, lonely = cluster.servers
    cluster.lab.cut(lonely.host)
    first.stop()
    second.stop()
    ok(first.restore(cluster.snapshot))
    first.start()
    second.launch("--rejoin")
    cluster.wait_joined(second)
    check(lonely.try_etcdctl("get", "/workload/2", "--command-timeout=2s").code != 0, "it serves without a quorum")
    cluster.lab.heal()
    check(lonely.process.wait(PATIENCE) != 0, "a fenced server ended as if all were well")
    lonely.launch("--rejoin")
    cluster.wait_joined(lonely)
    check_restored(cluster)


def test_three_new_hosts_need_the_snapshot_and_the_token_only(bench):
    cluster = cluster_with_snapshot(bench)
    token, file = cluster.first.token, bench.dir / "carried" / cluster.snapshot.name
    file.parent.mkdir()
    shutil.copy(cluster.snapshot, file)
    for server in cluster.servers:
        shutil.rmtree(server.data_dir)
    cluster.servers = [cluster.lab.add(f"new-{i}").server() for i in range(3)]
    ok(cluster.first.restore(file, f"--token={token}"))
    cluster.first.start()
    equal(workload(cluster.first), ["/workload/1"])
    cluster.wait_nodes({"new-0": "Ready", "server-0": "NotReady", "server-1": "NotReady", "server-2": "NotReady"})
    for name in "server-0", "server-1", "server-2":
        ok(cluster.first.holdfast("node", "remove", name))
    for server in cluster.servers[1:]:
        cluster.join(server)
    check_restored(cluster)


def test_a_restore_on_a_new_host_and_the_cluster_that_still_runs_are_two(bench):
    cluster = Cluster(bench, servers=1).start()
    old, lab = cluster.first, cluster.lab
    old.etcdctl("put", "/workload/1", "x")
    file = bench.dir / "carried" / old.save().name
    file.parent.mkdir()
    shutil.copy(old.snapshots / file.name, file)
    new, later = lab.add("new-0").server(), lab.add("new-1").server()
    ok(new.restore(file, f"--token={old.token}"))
    new.start()
    old.etcdctl("put", "/workload/old", "x")
    new.etcdctl("put", "/workload/new", "x")
    cluster.wait_nodes({"new-0": "Ready", "server-0": "NotReady"}, seen_from=new)
    agents = {server: Agent(cluster, lab.add(f"agent-of-{server.name}")).start(to=server) for server in (old, new)}
    # Both have looked at the servers several times when one has found the server that joins.
    cluster.join(later, to=new)
    agents[new].wait_backends(new, later)
    equal([sorted(agent.backends()[-1]) for agent in agents.values()],
          [[old.host.address], sorted([new.host.address, later.host.address])])
    for _ in range(8):
        equal(workload(agents[new]), ["/workload/1", "/workload/new"])
        equal(workload(agents[old]), ["/workload/1", "/workload/old"])
    cluster.wait_nodes({"new-0": "Ready", "new-1": "Ready", "agent-of-new-0": "Ready", "server-0": "NotReady"}, seen_from=new)
    cluster.wait_nodes({"server-0": "Ready", "agent-of-server-0": "Ready"})


def test_quorum_is_lost_and_the_survivor_goes_on_alone(bench):
    cluster = Cluster(bench).start()
    first, second, third = cluster.servers
    second.etcdctl("put", "/workload/1", "x")
    cluster.check_equal()
    cluster.id = cluster_id(first)
    second.kill()
    third.kill()
    wait_for(lambda: first.get("/readyz")[0] != 200, "the survivor not to be ready", PATIENCE)
    first.stop()
    ok(first.reset())
    first.start()
    equal(workload(first), ["/workload/1"])
    contains(runs_to_its_end(second).err, "--rejoin")
    for server in second, third:
        server.launch("--rejoin")
    cluster.wait_joined(second, third)
    check_restored(cluster)


def test_resets_one_after_the_other(bench):
    cluster = cluster_with_snapshot(bench)
    first, second, third = cluster.servers
    ok(first.restore(cluster.snapshot))
    ok(first.restore(cluster.snapshot))  # twice in a row, no start between
    first.start()
    second.launch("--rejoin")  # knows the first reset
    cluster.wait_joined(second)
    first.stop()
    second.stop()
    ok(first.reset())  # and one without a snapshot
    first.start()
    # Both belong to clusters of before, each to another one.
    for server in second, third:
        contains(runs_to_its_end(server).err, "--rejoin")
        server.launch("--rejoin")
        cluster.wait_joined(server)
    check_restored(cluster)


def test_a_reset_is_refused_while_a_server_url_is_configured_and_done_without(bench):
    cluster = cluster_with_snapshot(bench)
    second = cluster.servers[1]
    check(any(flag.startswith("--server=") for flag in second.flags), second.flags)
    before = tree(second.db)
    result = second.restore(second.snapshot_before)
    check(result.code != 0, result)
    contains(result.err, "cannot perform cluster-reset while server URL is set - remove server from configuration before resetting")
    equal(tree(second.db), before, "the data")
    second.flags = []
    ok(second.restore(second.snapshot_before))
    second.start()
    equal(workload(second), ["/workload/1", "/workload/2"])
    for server in cluster.servers[0], cluster.servers[2]:
        server.flags = cluster.join_flags(to=second)
        server.launch("--rejoin")
        cluster.wait_joined(server)
    cluster.wait_all_ready(seen_from=second)
    cluster.check_equal()


def test_a_restore_on_a_node_that_had_been_removed(bench):
    cluster = cluster_with_snapshot(bench)
    cluster.start_again()
    removed = cluster.servers[2]
    ok(cluster.first.holdfast("node", "remove", removed.name))
    wait_for(lambda: removed.name not in members(cluster.first), "the member to be gone")
    cluster.stop()
    removed.flags = []
    ok(removed.restore(removed.snapshot_before))
    removed.start()
    equal(workload(removed), ["/workload/1", "/workload/2"])
    for server in cluster.servers[:2]:
        server.flags = cluster.join_flags(to=removed)
        server.launch("--rejoin")
        cluster.wait_joined(server)
    cluster.wait_all_ready(seen_from=removed)
    cluster.check_equal()


def test_a_dry_run_tells_the_plan_and_touches_nothing(bench):
    cluster = cluster_with_snapshot(bench)
    first = cluster.first
    before = tree(first.data_dir)
    result = ok(first.restore(cluster.snapshot, "--dry-run"))
    equal({k: v for k, v in tree(first.data_dir).items() if k != "server/lock"},
          {k: v for k, v in before.items() if k != "server/lock"}, "the data directory")
    text = result.out + result.err
    for part in cluster.snapshot.name, "revision", "server-1", "server-2":
        contains(text, part)
    cluster.start_again()
    equal(workload(first), ["/workload/1", "/workload/2"])


def test_rejoin_with_data_of_the_cluster_as_it_is_changes_nothing(bench):
    cluster = cluster_with_snapshot(bench)
    cluster.start_again()
    third = cluster.servers[2]
    third.stop()
    third.launch("--rejoin")
    cluster.wait_joined(third)
    cluster.wait_all_ready()
    equal(len(members_now(cluster.first)), 3, "members")
    check(third.snapshot_before.exists(), "a snapshot is gone")
    equal(workload(third), ["/workload/1", "/workload/2"])
    cluster.stop()
    for server in cluster.servers[1:]:  # left in a configuration it does nothing after a power cut, too
        server.flags = [*server.flags, "--rejoin"]
    cluster.start_again()
    equal([workload(server) for server in cluster.servers], [["/workload/1", "/workload/2"]] * 3)
    cluster.check_equal()
