"""The story of a cluster, in short, with the newest other etcd that is at hand (scripts/fetch-etcd): joins, leaders that die under
a writer, a restore and both ways back. The other HA tests run the installed one."""
import shutil

from cluster import Cluster, cluster_id, kill_leaders, writer_to_all
from ha_restore_test import check_restored, ok, workload
from harness import Skip, contains, equal, etcd_versions


def test_joins_dying_leaders_and_a_restore_on_another_etcd(bench):
    installed, *others = etcd_versions()
    if not others:
        raise Skip("there is no other etcd in out/etcd")
    cluster = Cluster(bench, agents=1, etcd_dir=others[-1]).start()
    first, by_hand, by_flag = cluster.servers
    agent = cluster.agents[0]
    for node in [*cluster.servers, agent]:
        node.etcdctl("put", f"/key/{node.name}", node.name)
    for node in [*cluster.servers, agent]:
        equal(len(node.etcdctl("get", "/key/", "--prefix", "--keys-only").split()), 4, "keys seen by", node.name)
    cluster.wait_all_ready()
    contains(first.log_text(), f"({others[-1]}/etcd)")

    writer = writer_to_all(cluster)
    kill_leaders(cluster, writer, times=2)
    writer.stop()
    for server in cluster.servers:
        writer.check_nothing_lost(server)
    cluster.check_equal()

    first.etcdctl("put", "/workload/1", "x")
    snapshot = first.save()
    by_flag.etcdctl("put", "/workload/2", "x")
    cluster.id = cluster_id(first)
    cluster.stop()
    ok(first.restore(snapshot))
    first.start()
    equal(workload(first), ["/workload/1"])
    shutil.rmtree(by_hand.db)
    cluster.wait_joined(by_hand.launch())
    cluster.wait_joined(by_flag.launch("--rejoin"))
    agent.start()
    check_restored(cluster)
    for server in cluster.servers:
        writer.check_nothing_lost(server)
