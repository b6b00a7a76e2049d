#include "postgres/postgres_datastore.h"

#include <array>

#include "formats/pgdump/head.h"
#include "postgres/archive_examiner.h"
#include "postgres/catalogue.h"
#include "postgres/dump.h"
#include "postgres/key_rows.h"
#include "postgres/restore_dump.h"
#include "postgres/tools.h"

namespace holdfast {
namespace {

using postgres::Connection;

constexpr absl::Duration kPatience = absl::Minutes(1);
// Before the first row of a large table a sort may be done.
constexpr absl::Duration kRowsPatience = absl::Minutes(10);

class PostgresDatastore final : public Datastore {
 public:
  PostgresDatastore(FileSystem& fs, postgres::Endpoint endpoint)
      : fs_(fs), endpoint_(std::move(endpoint)) {}

  StatusOr<DatastoreState> Describe() override {
    DatastoreState state{.kind = "postgres", .location = endpoint_.Location(), .empty = true};
    ASSIGN_OR_RETURN(const postgres::Target target,
                     postgres::OpenTarget(endpoint_, {kPatience, {}}), "{}", state.location);
    Connection& connection = *target.connection;
    state.version = connection.version();
    if (!target.exists) {
      state.warnings.push_back(fmt::format("the database {} does not exist", endpoint_.database()));
      return state;
    }
    RETURN_IF_ERROR(postgres::CheckReadable(connection), "{}", state.location);
    if (tool_for_ != connection.major()) {  // a health check need not start it each time
      RETURN_IF_ERROR(postgres::FindTool(fs_, "pg_dump", connection.major()).status());
      tool_for_ = connection.major();
    }
    ASSIGN_OR_RETURN(state.bytes, postgres::DatabaseBytes(connection));
    ASSIGN_OR_RETURN(state.empty, postgres::IsEmpty(connection));
    return state;
  }

  StatusOr<std::unique_ptr<DatastoreSnapshot>> Snapshot(const TakeOptions& options) override {
    auto dump = postgres::BeginDump(fs_, endpoint_, options);
    if (!dump.ok()) return Annotate(dump.status(), endpoint_.Location());
    return dump;
  }

  StatusOr<RestorePlan> CheckRestore(const RestoreOptions& options) override {
    return postgres::CheckRestoreDump(fs_, endpoint_, options);
  }

  Status Restore(Source& payload, const RestoreOptions& options) override {
    return Annotate(postgres::RestoreDump(fs_, endpoint_, payload, options), endpoint_.Location());
  }

  StatusOr<SnapshotFacts> ReadContent(std::stop_token stop) override {
    ASSIGN_OR_RETURN(const auto connection, Connection::Open(endpoint_, "", {kRowsPatience, stop}));
    return postgres::ReadKineContent(*connection);
  }

  Status ReadRows(Rows which, const std::function<Status(const KeyRow&)>& row,
                  std::stop_token stop) override {
    ASSIGN_OR_RETURN(const auto connection, Connection::Open(endpoint_, "", {kRowsPatience, stop}));
    return postgres::ReadKineRows(*connection, which, row);
  }

  StatusOr<std::unique_ptr<KeyWriter>> WriteRows(Rows which) override {
    ASSIGN_OR_RETURN(postgres::Target target, postgres::OpenTarget(endpoint_, {kRowsPatience, {}}));
    if (target.exists) return postgres::WriteKineRows(std::move(target.connection), which, nullptr);
    RETURN_IF_ERROR(postgres::CreateDatabase(*target.connection, endpoint_.database()));
    auto inside = Connection::Open(endpoint_, "", {kRowsPatience, {}});
    if (!inside.ok()) {
      postgres::DropDatabase(*target.connection, endpoint_.database());
      return inside.status();
    }
    std::shared_ptr<Connection> outside = std::move(target.connection);
    // The writer may outlive this.
    return postgres::WriteKineRows(
        *std::move(inside), which,
        [outside, database = endpoint_.database()] { postgres::DropDatabase(*outside, database); });
  }

 private:
  FileSystem& fs_;
  const postgres::Endpoint endpoint_;
  int tool_for_ = 0;  // of this major version there is a pg_dump
};

constexpr std::array<std::string_view, 2> kSchemes = {"postgres", "postgresql"};

}  // namespace

const DatastoreKind& PostgresKind() {
  static constexpr DatastoreKind kKind = {
      .name = "postgres",
      .schemes = kSchemes,
      .endpoint_example = "postgres://user:password@host:5432/database",
      .default_compression = Compression::kZstd,
      .keeps_history = true,
      .recognizes = &pgdump::IsCustomArchive,
      .make_examiner = [](FileSystem&, const std::string&,
                          std::stop_token) { return postgres::MakeArchiveExaminer(); },
      .open = [](const DatastoreOptions& options) -> StatusOr<std::unique_ptr<Datastore>> {
        ASSIGN_OR_RETURN(postgres::Endpoint endpoint, postgres::ParseEndpoint(options));
        return std::make_unique<PostgresDatastore>(options.fs, std::move(endpoint));
      },
  };
  return kKind;
}

}  // namespace holdfast
