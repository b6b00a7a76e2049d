"""Snapshots by the clock: names and times, retention, failures, and what is known of the next run."""
import json
import os
import re
import time

from harness import Skip, check, equal, wait_for
from probe import StalledSave, fill_for_stall, metrics, mode, parts

# Each run comes up to 5 s late (jitter), so that "@every 1s" is one in 1 to 6 s.
EVERY_SECOND = "--etcd-snapshot-schedule-cron=@every 1s"


def stored(server):
    return sorted(p.name for p in server.snapshots.glob("*") if not p.name.endswith(".part")) if server.snapshots.exists() else []


def saved(directory, pattern="etcd-snapshot-node-1-*"):
    """Snapshots in a directory of the user's, without what is being written."""
    return [p for p in directory.glob(pattern) if not p.name.endswith(".part")]


def wait_for_log(server, words):
    """The schedule has a thread of its own: it begins after the server is ready, and writes its lines after it counted."""
    wait_for(lambda: words in server.log_text(), f"the log to say {words!r}")


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_a_snapshot_each_second_and_one_is_kept(bench):
    server = bench.server().start(EVERY_SECOND, "--etcd-snapshot-retention=1", "--etcd-snapshot-compress")
    seen, most = [], 0

    def look():
        nonlocal most
        now = stored(server)
        most = max(most, len(now))
        for name in now:
            check(re.fullmatch(r"etcd-snapshot-node-1-\d+\.zip", name), name)
            if name not in seen:
                seen.append(name)
        # Never none again, and two only in the moment between the new one and the end of the old one.
        check(bool(now) == bool(seen) and len(now) <= 2, now)
        return len(seen) >= 4

    wait_for(look, "four snapshots")
    equal(seen, sorted(seen), "names grow")
    [last] = wait_for(lambda: len(s := stored(server)) == 1 and s, "only one to be left")
    equal(mode(server.snapshots / last), "0o600")
    server.stop()
    equal(parts(server.snapshots), [])
    # Each was taken when its name says, to the second, and never two at once.
    [left] = stored(server)
    equal(sorted(p.name for p in (server.db / ".metadata").iterdir()), [left], "metadata of what is gone is gone")
    taken = re.findall(r"Saved etcd snapshot (\S+):", server.log_text())
    removed = re.findall(r"Removed snapshot (\S+): 1 of base etcd-snapshot are kept", server.log_text())
    equal(removed, taken[:-1])
    bench.ok("unzip", "-tq", server.snapshots / left)


def test_each_minute(bench):
    server = bench.server().start("--etcd-snapshot-schedule-cron=* * * * *", env={"TZ": "UTC"})
    due = wait_for(lambda: metrics(server)["holdfast_etcd_snapshot_next_run_timestamp_seconds"], "the first run to be known")
    check(due % 60 == 0 and time.time() - 60 < due <= time.time() + 60, due)
    wait_for_log(server, f"Next scheduled snapshot at {utc(due)} (* * * * *)")
    [name] = wait_for(lambda: stored(server), "the full minute", patience=150)
    taken = int(name.rsplit("-", 1)[1])
    check(due <= taken <= due + 30, "due", due, "taken", taken)  # 5 s of jitter, and what a loaded machine takes to begin
    wait_for(lambda: metrics(server)["holdfast_etcd_snapshot_next_run_timestamp_seconds"] == due + 60, "the next run to be known")
    wait_for_log(server, f"Next scheduled snapshot at {utc(due + 60)}")
    equal(metrics(server)["holdfast_etcd_snapshot_last_success_timestamp_seconds"], taken)
    server.stop()


def test_the_next_run_is_told_in_its_own_zone(bench):
    for flag, env, sign in (("0 3 * * *", {"TZ": "Asia/Tokyo"}, "T03:00:00+09:00 (0 3 * * *)"),
                            ("CRON_TZ=America/New_York 30 1 * * *", {"TZ": "Asia/Tokyo"}, r"T01:30:00-0[45]:00 \(CRON_TZ=America/New_York 30 1 * * *\)"),
                            ("@hourly", {"TZ": "UTC"}, ":00:00Z (@hourly)")):
        server = bench.server(f"data-{len(flag)}").start(f"--etcd-snapshot-schedule-cron={flag}", env=env)
        line = wait_for(lambda: re.search(r"Next scheduled snapshot at (.*)\"", server.log_text()), "the next run to be told").group(1)
        check(sign in line or re.search(sign.replace("* * *", r"\* \* \*"), line), line, "has not", sign)
        server.stop()


def test_no_schedule(bench):
    server = bench.server().start(EVERY_SECOND, "--etcd-disable-snapshots", "--etcd-snapshot-reconcile-interval=1s")
    wait_for_log(server, "Scheduled snapshots are disabled")
    equal(metrics(server)["holdfast_etcd_snapshot_next_run_timestamp_seconds"], 0)
    # Longer than an interval and its jitter.
    wait_for(lambda: metrics(server)['holdfast_etcd_snapshot_reconcile_duration_seconds_count{status="success"}'] >= 8, "some seconds to pass")
    equal(stored(server), [])
    server.save()
    equal(len(stored(server)), 1)
    server.stop()


def test_a_failed_run_is_told_and_the_next_one_works(bench):
    place = bench.dir / "place/snapshots"
    place.mkdir(parents=True)
    server = bench.server().start(EVERY_SECOND, f"--etcd-snapshot-dir={place}")

    def failures():
        return metrics(server).get('holdfast_etcd_snapshot_failures_total{reason="not_found"}', 0)

    wait_for(lambda: saved(place), "a first snapshot")
    place.rename(bench.dir / "place/elsewhere")
    wait_for(lambda: failures() >= 2, "two failed runs")
    wait_for_log(server, f"Failed to take scheduled snapshot: failed to get etcd-snapshot-dir: stat {place}: no such file or directory")
    equal(server.get("/readyz")[0], 200)
    check(not place.exists(), "a directory of the user's was made")
    (bench.dir / "place/elsewhere").rename(place)
    before = set(place.iterdir())
    wait_for(lambda: {p for p in place.iterdir() if not p.name.endswith(".part")} - before, "the next run")
    server.stop()


def test_a_full_disk_is_told_and_leaves_nothing_half(bench):
    place = bench.dir / "small/snapshots"
    place.parent.mkdir()
    if os.geteuid() != 0 or bench.run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place.parent).code != 0:
        raise Skip("cannot mount a small file system")
    bench.stack.callback(lambda: bench.run("umount", "-l", place.parent))
    place.mkdir()
    server = bench.server().start(EVERY_SECOND, f"--etcd-snapshot-dir={place}", "--etcd-snapshot-retention=2")
    wait_for(lambda: saved(place), "a first snapshot")
    server.fill(300, value_size=3000)

    def failures():
        return metrics(server).get('holdfast_etcd_snapshot_failures_total{reason="resource_exhausted"}', 0)

    wait_for(lambda: failures() >= 1, "a failed run")
    good = [p.name for p in place.iterdir()]
    check(good and all(not name.endswith(".part") for name in good), "what was there stays, and nothing half:", good)
    wait_for_log(server, "Failed to take scheduled snapshot: no space for etcd-snapshot-node-1-")
    bench.ok("mount", "-o", "remount,size=64m", place.parent)
    wait_for(lambda: [p for p in saved(place) if p.name not in good], "the next run")
    server.stop()
    for path in place.iterdir():
        equal(server.holdfast("etcd-snapshot", "status", path).code, 0, path)


def test_a_run_that_meets_another_save_is_left_out(bench):
    server = bench.server().start(EVERY_SECOND, "--etcd-snapshot-retention=2")
    fill_for_stall(server)
    save = StalledSave(server, lambda: bench.spawn([server.program, "etcd-snapshot", "save", "--name=by-hand"], "save.log", env=server.env),
                       pattern="by-hand-*.part")
    seen = server.log_text().count("Failed to take scheduled snapshot: snapshot save already in progress")
    wait_for(lambda: server.log_text().count("Failed to take scheduled snapshot: snapshot save already in progress") > seen,
             "a run to be left out")
    equal(len(parts(server.snapshots)), 1, "two saves at once")
    save.release()
    equal(save.started.wait(60), 0)
    before = set(stored(server))
    wait_for(lambda: {n for n in stored(server) if n.startswith("etcd-snapshot-")} - before, "the next run")
    check(not any("failures_total" in key and value for key, value in metrics(server).items()), "a run left out is no failure")
    server.stop()


def test_retention_knows_its_own(bench):
    server = bench.server().start()
    for _ in range(3):
        server.save("--name=etcd-snapshot")
    for name in ("etcd-snapshot-x", "etcd-snap", "on-demand"):
        server.save(f"--name={name}")
    foreign = server.snapshots / "etcd-snapshot-stranger-1500000000"
    foreign.write_bytes(b"x")
    old = [n for n in stored(server) if re.fullmatch(r"etcd-snapshot-node-1-\d+", n)]
    others = set(stored(server)) - set(old)
    server.stop()
    # The host has another name now: its former snapshots still count, or they would stay for ever.
    server.start(EVERY_SECOND, "--etcd-snapshot-retention=2", "--node-name=Node-2.Example")
    wait_for(lambda: len([n for n in stored(server) if n.startswith("etcd-snapshot-node-2.example-")]) >= 2
             and not set(old) & set(stored(server)), "the former ones to go")
    server.stop()
    equal(set(stored(server)) & others, others, "what does not belong to the schedule")
    equal(len(set(stored(server)) - others), 2)
    removed = re.findall(r"Removed snapshot (\S+):", server.log_text())
    equal(removed, sorted(removed, key=lambda n: int(n.rsplit("-", 1)[1])), "oldest first")
