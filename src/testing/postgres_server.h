// A real PostgreSQL for one test: in a directory of its own, on a socket in it, without any port. Debian's package
// postgresql-15; as root it runs as the user postgres.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "base/path.h"
#include "os/file_system.h"
#include "os/process.h"
#include "testing/temp_dir.h"

namespace holdfast::testing {

class PostgresServer {
 public:
  // The newest of Debian's; none: not installed.
  static std::optional<std::string> Binaries() {
    std::optional<std::string> newest;
    const auto entries = PosixFileSystem().List("/usr/lib/postgresql");
    if (!entries.ok()) return newest;
    for (const DirectoryEntry& entry : *entries) {
      const std::string bin = JoinPath("/usr/lib/postgresql", entry.name, "bin");
      if (FindProgram(JoinPath(bin, "postgres")).ok() && (!newest || *newest < bin)) newest = bin;
    }
    return newest;
  }

  explicit PostgresServer(std::string binaries) : binaries_(std::move(binaries)) {
    CHECK(::chmod(dir_.path().c_str(), 0711) == 0);
    Run({"/usr/bin/install", "-d", "-m", "700", dir_ / "data"}, "postgres");
    Run({"/usr/bin/install", "-d", "-m", "755", dir_ / "socket"}, "postgres");
    Must(AsPostgres({binaries_ + "/initdb", "-D", dir_ / "data", "-U", "postgres", "-E", "UTF8",
                     "--locale=C.UTF-8", "--auth=trust", "--no-sync"}));
    Start();
    Sql("postgres", "CREATE ROLE kine LOGIN CREATEDB");
    Sql("postgres", "CREATE DATABASE kine OWNER kine");
  }

  void Start() {
    server_ = ChildProcess::Start(
                  {.argv = AsPostgres({binaries_ + "/postgres", "-D", dir_ / "data", "-c",
                                       "listen_addresses=", "-c",
                                       "unix_socket_directories=" + (dir_ / "socket"), "-c",
                                       "fsync=off", "-c", "log_min_messages=fatal"}),
                   .on_output_line = [](auto) {}})
                  .value();
    while (!RunAndRead({binaries_ + "/pg_isready", "-q", "-h", dir_ / "socket"}, absl::Seconds(60))
                .ok())
      CHECK(!server_->Wait(absl::Milliseconds(20), {}));
  }

  // Not in order: everybody's connection breaks.
  void Kill() { server_->Stop(absl::ZeroDuration()); }

  std::string Url(const std::string& database, const std::string& user = "kine") const {
    return "postgres://" + user + "@/" + database + "?host=" + (dir_ / "socket");
  }

  // As a superuser; what it prints, unaligned.
  std::string Sql(const std::string& database, const std::string& sql) const {
    return Must({binaries_ + "/psql", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql,
                 Url(database, "postgres")});
  }

  const std::string& binaries() const { return binaries_; }

 private:
  static std::string Must(std::vector<std::string> argv) {
    const auto output = RunAndRead(std::move(argv), absl::Seconds(60));
    CHECK(output.ok());
    return *output;
  }
  static std::vector<std::string> AsPostgres(std::vector<std::string> argv) {
    if (::getuid() == 0) {
      const std::vector<std::string> before = {"/usr/bin/setpriv", "--reuid=postgres",
                                               "--regid=postgres", "--init-groups"};
      argv.insert(argv.begin(), before.begin(), before.end());
    }
    return argv;
  }
  static void Run(std::vector<std::string> argv, const std::string& owner) {
    if (::getuid() == 0) argv.insert(argv.begin() + 1, {"-o", owner});
    Must(std::move(argv));
  }

  const std::string binaries_;
  TempDir dir_;
  std::unique_ptr<ChildProcess> server_;
};

}  // namespace holdfast::testing
