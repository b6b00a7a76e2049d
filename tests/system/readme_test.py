"""The README's commands, run as they stand there: the five minutes, and the restores with a stand-in for systemctl."""
import os
import re
import shutil

import s3_servers
from harness import BIN, TOP, check, contains, equal
from sqlite_test import Database

README = (TOP / "README.md").read_text()


def blocks(heading, language):
    """The fenced blocks of a language below a heading, up to the next one of the same level."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", README, re.M | re.S).group(1)
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.M | re.S)


def environment(bench, server):
    """What makes the README's words work on ports and in a directory of the test's own."""
    tools = bench.dir / "bin"
    tools.mkdir()
    (tools / "holdfast").symlink_to(BIN)
    (tools / "systemctl").write_text(f"""#!/bin/bash
# start and stop of the one unit, without systemd
case $1 in
  start)
    holdfast server >>{bench.dir}/unit.log 2>&1 &
    echo $! >{bench.dir}/unit.pid
    for i in $(seq 600); do
      [ "$(curl -sk https://127.0.0.1:{server.supervisor_port}/readyz)" != ok ] || exit 0
      kill -0 $(cat {bench.dir}/unit.pid) || exit 1
      sleep 0.1
    done
    exit 1 ;;
  stop)
    [ -e {bench.dir}/unit.pid ] || exit 0
    kill $(cat {bench.dir}/unit.pid)
    while kill -0 $(cat {bench.dir}/unit.pid) 2>/dev/null; do sleep 0.05; done
    rm {bench.dir}/unit.pid ;;
esac
""")
    (tools / "systemctl").chmod(0o755)
    bench.stack.callback(bench.run, tools / "systemctl", "stop")
    config = bench.dir / "config.yaml"
    ports = "".join(f"{flag[2:].replace('=', ': ')}\n" for flag in server.ports)
    config.write_text(f"{ports}bind-address: 127.0.0.1\nnode-ip: 127.0.0.1\nnode-name: node-1\n"
                      "etcd-arg: [heartbeat-interval=50, election-timeout=500]\n")
    return {"PATH": f"{tools}:{os.environ['PATH']}", "HOLDFAST_CONFIG_FILE": str(config), "HOLDFAST_DATA_DIR": str(server.data_dir)}


def test_the_five_minutes(bench):
    server = bench.server("demo-data")
    env = environment(bench, server)
    del env["HOLDFAST_DATA_DIR"]
    lines = [line[2:] for block in blocks("Five minutes", "console") for line in block.splitlines() if line.startswith("$ ")]
    check(len(lines) >= 8, "the README lost its five minutes:", lines)
    script = ["set -eu -o pipefail"]
    for line in lines:
        line = line.replace("127.0.0.1:2379", f"127.0.0.1:{server.client_port}")
        if "--cluster-reset" in line:
            script.append("kill $server; wait $server")  # Ctrl-C in the first terminal
        script.append(f"echo '$ {line}'" if "'" not in line else "")
        if line.endswith("&"):
            script.append(f"{line[:-1]} >>server.log 2>&1 &\nserver=$!\ntrap 'kill $server' EXIT")
            script.append(f"until [ \"$(curl -sk https://127.0.0.1:{server.supervisor_port}/readyz)\" = ok ]; do kill -0 $server; sleep 0.1; done")
        else:
            script.append(line)
    result = bench.run("bash", stdin="\n".join(script) + "\n", env=env)
    equal(result.code, 0, result)
    contains(result.out, "/hello\nworld")
    equal(result.out.rstrip().splitlines()[-1], "$ etcdctl get /hello", "the last command found nothing")


def test_the_restores(bench):
    server, fake = bench.server("data"), s3_servers.Fake(bench)
    env = environment(bench, server)

    def shell(text, **more):
        # The README's names for what the test has elsewhere.
        for old, new in {"on-demand-node-1-1753178523": snapshot.name, "/root/old-token": str(bench.dir / "old-token"),
                         "/root/": str(bench.dir) + "/", "s3.example.org": fake.host, "/var/lib/etcd-restored": str(bench.dir / "restored")}.items():
            text = text.replace(old, new)
        result = bench.run("bash", "-e", stdin=text, env={**env, **more})
        equal(result.code, 0, text, result)
        return result

    same_host, new_host, bucket, reset, bare, database = blocks("My cluster is gone: restore", "sh")
    equal(bench.run("systemctl", "start", env=env).code, 0)
    server.fill(20)
    before = server.dump()
    snapshot = server.save()
    shutil.copy(snapshot, bench.dir)
    shutil.copy(snapshot, bench.dir / "backup.db")
    (bench.dir / "old-token").write_text(server.token)
    server.etcdctl("put", "/later", "x")

    contains(shell(same_host).out, snapshot.name)
    equal(server.dump(), before, "same host")
    server.etcdctl("put", "/later", "x")
    shell(reset)
    check(len(server.dump()) == len(before) + 1, "a reset without a snapshot keeps the data")
    shell("systemctl stop holdfast-server")

    server.data_dir = bench.dir / "new-host"
    shell(new_host, HOLDFAST_DATA_DIR=str(server.data_dir))
    equal(server.dump(), before, "new host")
    shell("systemctl stop holdfast-server")

    # What the README leaves to the configuration, and whether it is plain HTTP.
    fake.bucket("backups").put(f"prod/{snapshot.name}", snapshot.read_bytes())
    server.data_dir = bench.dir / "from-bucket"
    listed = shell(bucket, HOLDFAST_DATA_DIR=str(server.data_dir), HOLDFAST_ETCD_S3_INSECURE="true",
                   HOLDFAST_ETCD_S3_ACCESS_KEY=fake.access_key, AWS_SECRET_ACCESS_KEY=fake.secret_key)
    contains(listed.out, f"s3://backups/prod/{snapshot.name}")
    equal(server.dump(), before, "from the bucket")
    shell("systemctl stop holdfast-server")
    shell(bare)
    check((bench.dir / "restored/member/snap/db").exists())

    sqlite = Database(bench, rows=[("/k", b"v", 0)])
    shell(f"holdfast etcd-snapshot save '{sqlite.endpoint}' --etcd-snapshot-dir={bench.dir} --name=state --node-name=node-1")
    saved, = bench.dir.glob("state-node-1-*")
    sqlite.path.unlink()
    shell(database.replace("state-node-1-1753178523", saved.name).replace("/var/lib/rancher/k3s/server/db/state.db", str(sqlite.path)),
          HOLDFAST_DATA_DIR=str(bench.dir / "beside"))
    equal([row[5] for row in sqlite.rows()], [b"v"])
