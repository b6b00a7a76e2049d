#include "config/server_options.h"

#include <gtest/gtest.h>

#include "config/arguments.h"

namespace holdfast {
namespace {

const HostFacts kHost{.host_name = "Node-1.Example",
                      .node_address = "10.0.0.1",
                      .working_directory = "/home/me",
                      .zone = absl::UTCTimeZone(),
                      .now = absl::FromUnixSeconds(1753178523)};

StatusOr<ServerOptions> Options(std::vector<std::string> flags) {
  flags.insert(flags.begin(), "server");
  const CommandLine line = ParseArguments(flags).value();
  Settings settings(kServer);
  for (const auto& use : line.flags) settings.Set(*use.flag, {use.value, use.written});
  return MakeServerOptions(settings, Distributions()[0], kHost);
}
std::string Error(std::vector<std::string> flags) {
  return MessageOf(Options(std::move(flags)).status());
}

TEST(ServerOptions, Defaults) {
  const ServerOptions o = Options({}).value();
  EXPECT_EQ(o.data_dir, "/var/lib/holdfast");
  EXPECT_EQ(o.node_name, "node-1.example");
  EXPECT_EQ(o.supervisor_port, 9345);
  EXPECT_EQ(o.etcd_client_port, 2379);
  EXPECT_EQ(o.etcd_auto_compaction_retention, absl::Hours(1));
  EXPECT_EQ(o.snapshots.directory, "/var/lib/holdfast/server/db/snapshots");
  EXPECT_EQ(o.snapshots.schedule->text(), "0 */12 * * *");
  EXPECT_EQ(o.snapshots.retention, 5);
  EXPECT_EQ(o.sans, (std::vector<std::string>{"10.0.0.1", "node-1", "node-1.example"}));
}

TEST(ServerOptions, CompressionWordWinsOverTheSwitch) {
  EXPECT_EQ(Options({"--etcd-snapshot-compress"})->snapshots.compression, Compression::kZip);
  EXPECT_EQ(Options({"--etcd-snapshot-compress", "--etcd-snapshot-compression=zstd"})
                ->snapshots.compression,
            Compression::kZstd);
  EXPECT_EQ(Error({"--etcd-snapshot-compression=gzip"}),
            "invalid etcd-snapshot-compression: \"gzip\" is not one of none, zip, zstd");
}

TEST(ServerOptions, ABadScheduleIsRefusedAtStart) {
  EXPECT_NE(Error({"--etcd-snapshot-schedule-cron=61 * * * *"})
                .find("invalid etcd-snapshot-schedule-cron: "),
            std::string::npos);
  EXPECT_NE(Error({"--etcd-snapshot-schedule-cron=0 0 31 2 *"}).find("never comes"),
            std::string::npos);
  EXPECT_FALSE(Options({"--etcd-disable-snapshots"})->snapshots.schedule.has_value());
  EXPECT_FALSE(Options({"--etcd-disable-snapshots", "--etcd-snapshot-schedule-cron=x"}).ok());
}

TEST(ServerOptions, FlagsThatDoNotGoTogether) {
  EXPECT_EQ(Error({"--cluster-reset-restore-path=x"}),
            "invalid flag use; --cluster-reset required with --cluster-reset-restore-path");
  EXPECT_EQ(Error({"--cluster-reset", "--server=https://a:1"}),
            "cannot perform cluster-reset while server URL is set - remove server from "
            "configuration before resetting");
  EXPECT_EQ(Error({"--server=http://a:1"}),
            "only https:// URLs are supported, invalid scheme: http://a:1");
  EXPECT_EQ(Options({"--server=https://a:1/"})->server_url, "https://a:1");
  EXPECT_EQ(Error({"--rejoin"}), "invalid flag use; --server required with --rejoin");
  EXPECT_EQ(Error({"--rejoin", "--cluster-reset"}),
            "invalid flag use; --rejoin and --cluster-reset exclude each other");
  EXPECT_EQ(Error({"--cluster-reset", "--cluster-reset-restore-path=x", "--bump-revision=5"}),
            "invalid flag use; --bump-revision and --mark-compacted must come together");
  EXPECT_EQ(Error({"--bump-revision=5", "--mark-compacted"}),
            "invalid flag use; --cluster-reset-restore-path required with --bump-revision and "
            "--mark-compacted");
}

TEST(ServerOptions, PortsAreCheckedAndDistinct) {
  EXPECT_EQ(Error({"--etcd-peer-port=70000"}),
            "invalid etcd-peer-port: 70000 is not a port between 1 and 65535");
  EXPECT_EQ(Error({"--etcd-peer-port=2379"}), "port 2379 is set for two things");
}

TEST(ServerOptions, NumbersDurationsAndNames) {
  EXPECT_EQ(Error({"--etcd-snapshot-reconcile-interval=0s"}),
            "invalid etcd-snapshot-reconcile-interval: etcd-snapshot-reconcile-interval must be "
            "greater than 0s");
  EXPECT_NE(Error({"--etcd-snapshot-name=a/b"}).find("path separators"), std::string::npos);
  EXPECT_EQ(Error({"--node-name=a/b"}), "invalid node-name: \"a/b\" cannot be part of a file name");
  EXPECT_EQ(Options({"--etcd-snapshot-dir=rel"})->snapshots.directory, "/home/me/rel");
}

}  // namespace
}  // namespace holdfast
