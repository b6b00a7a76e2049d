#include "mysql/mysql_datastore.h"

#include <array>
#include <utility>

#include "base/checksum.h"
#include "base/text.h"
#include "datastore/tool_stream.h"
#include "formats/kine/content.h"
#include "formats/mysqldump/dump_reader.h"
#include "mysql/database.h"
#include "mysql/kine_rows.h"
#include "mysql/load.h"
#include "mysql/tools.h"
#include "stream/digest_source.h"

namespace holdfast {
namespace mysql {
namespace {

constexpr std::string_view kName = "mysql";

void TakeContent(kine::Content content, SnapshotFacts& facts) {
  facts.revision = content.revision;
  facts.compact_revision = content.compact_revision;
  facts.live_keys = content.live_keys;
  facts.content_hash = std::move(content.content_hash);
  facts.bootstrap = std::move(content.bootstrap);
}

class DumpExaminer final : public Examiner {
 public:
  Status Write(ByteSpan data) override {
    hash_.Update(data);
    facts_.bytes += data.size();
    return reader_.Feed(data);
  }
  Status Finish() override {
    ASSIGN_OR_RETURN(mysqldump::DumpFacts dump, reader_.Finish());
    facts_.sha256 = HexOf(hash_.Finish());
    facts_.largest_packet = dump.largest_statement;
    facts_.objects = std::move(dump.objects);
    facts_.definers = std::move(dump.definers);
    if (dump.kine) TakeContent(std::move(*dump.kine), facts_);
    return OkStatus();
  }
  const SnapshotFacts& facts() const override { return facts_; }

 private:
  Sha256 hash_;
  mysqldump::DumpReader reader_;
  SnapshotFacts facts_;
};

// A dump with one more line after its first: the tool does not say how the database was made, and a database that was lost
// would come back with the server's defaults.
class WithDefaults final : public Source {
 public:
  WithDefaults(std::unique_ptr<Source> dump, const Contents& contents)
      : dump_(std::move(dump)),
        line_(fmt::format("ALTER DATABASE CHARACTER SET {} COLLATE {};\n", contents.character_set,
                          contents.collation)) {}

  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    if (!rest_.empty()) {
      const std::size_t n = rest_.copy(reinterpret_cast<char*>(out.data()), out.size());
      rest_.erase(0, n);
      return n;
    }
    ASSIGN_OR_RETURN(const std::size_t n, dump_->Read(out));
    const std::string_view text = TextOf(out.first(n));
    const std::size_t end = text.find('\n');
    if (line_.empty() || end == std::string_view::npos) return n;
    rest_ = std::exchange(line_, "").append(text.substr(end + 1));
    return end + 1;
  }

 private:
  const std::unique_ptr<Source> dump_;
  std::string line_;  // still to come
  std::string rest_;  // what comes next
};

class Dump final : public DatastoreSnapshot {
 public:
  Dump(DatastoreState origin, std::unique_ptr<Source> source)
      : origin_(std::move(origin)), source_(std::move(source)) {}

  StatusOr<std::size_t> Read(MutableByteSpan out) override { return source_->Read(out); }
  const DatastoreState& origin() const override { return origin_; }
  std::optional<std::uint64_t> size() const override { return std::nullopt; }
  std::uint64_t size_estimate() const override { return origin_.bytes; }
  Examiner& examiner() override { return examiner_; }

 private:
  const DatastoreState origin_;
  const std::unique_ptr<Source> source_;
  DumpExaminer examiner_;
};

class MysqlDatastore final : public Datastore {
 public:
  MysqlDatastore(const DatastoreOptions& options, Endpoint endpoint)
      : fs_(options.fs), clock_(options.clock), endpoint_(std::move(endpoint)) {}

  StatusOr<DatastoreState> Describe() override {
    ASSIGN_OR_RETURN(const Found found, Look());
    return found.state;
  }

  StatusOr<std::unique_ptr<DatastoreSnapshot>> Snapshot(const TakeOptions& options) override {
    ASSIGN_OR_RETURN(Found found, Look());
    if (!found.contents) return NotFoundError("database {} is not there", endpoint_.database);
    ToolOptions command = DumpCommand(found.tools, endpoint_, endpoint_.database, found.parts);
    command.stop = options.stop;
    command.stall_timeout = options.stall_timeout;
    ASSIGN_OR_RETURN(std::unique_ptr<Source> dump, ReadFromTool(command));
    return std::make_unique<Dump>(std::move(found.state),
                                  std::make_unique<WithDefaults>(std::move(dump), *found.contents));
  }

  StatusOr<RestorePlan> CheckRestore(const RestoreOptions& options) override {
    ASSIGN_OR_RETURN(const Tools tools, FindTools());
    ASSIGN_OR_RETURN(const auto server, Connect(""));
    ASSIGN_OR_RETURN(LoadPlan plan, Plan(*server, tools, options));
    return RestorePlan{.lines = std::move(plan.lines)};
  }

  Status Restore(Source& payload, const RestoreOptions& options) override {
    ASSIGN_OR_RETURN(const Tools tools, FindTools());
    ASSIGN_OR_RETURN(const auto server, Connect(""));
    ASSIGN_OR_RETURN(const LoadPlan plan, Plan(*server, tools, options));
    // Its end is also the last moment before anything changes where the dump is staged.
    DigestSource examined(payload, options.facts.sha256);
    return Load(*server, endpoint_, tools, plan, examined, options);
  }

  StatusOr<SnapshotFacts> ReadContent(std::stop_token stop) override {
    ASSIGN_OR_RETURN(const auto connection, Connect(endpoint_.database));
    SnapshotFacts facts;
    ASSIGN_OR_RETURN(const bool has_kine, HasKine(*connection));
    if (!has_kine) return facts;
    kine::ContentReader reader;
    RETURN_IF_ERROR(ReadKineRows(
        *connection, Rows::kAll,
        [&](const KeyRow& row) {
          reader.BeginRow(row.id, row.name, row.deleted, row.prev_revision);
          reader.Value(BytesOf(row.value));
          reader.EndRow();
          return OkStatus();
        },
        stop));
    TakeContent(reader.Finish(), facts);
    return facts;
  }

  Status ReadRows(Rows which, const std::function<Status(const KeyRow&)>& row,
                  std::stop_token stop) override {
    ASSIGN_OR_RETURN(const auto connection, Connect(endpoint_.database));
    ASSIGN_OR_RETURN(const bool has_kine, HasKine(*connection));
    if (!has_kine)
      return FailedPreconditionError("database {} has no kine table", endpoint_.database);
    return ReadKineRows(*connection, which, row, stop);
  }

  StatusOr<std::unique_ptr<KeyWriter>> WriteRows(Rows which) override {
    StatusOr<std::unique_ptr<Connection>> connection = Connect(endpoint_.database);
    if (connection.status().code() == StatusCode::kNotFound) {  // as kine does
      ASSIGN_OR_RETURN(const auto server, Connect(""));
      RETURN_IF_ERROR(server->Run("CREATE DATABASE " + QuoteName(endpoint_.database)));
      connection = Connect(endpoint_.database);
    }
    RETURN_IF_ERROR(connection.status());
    ASSIGN_OR_RETURN(const bool has_kine, HasKine(**connection));
    return WriteKineRows(*std::move(connection), which, has_kine);
  }

 private:
  struct Found {
    Tools tools;
    DumpParts parts;
    DatastoreState state;
    std::optional<Contents> contents;  // none: there is no such database
  };

  StatusOr<std::unique_ptr<Connection>> Connect(const std::string& database) {
    return Connection::Open(fs_, endpoint_, database);
  }

  StatusOr<LoadPlan> Plan(Connection& server, const Tools& tools, const RestoreOptions& options) {
    return PlanLoad(server, endpoint_, tools, absl::ToUnixSeconds(clock_.Now()), options);
  }

  StatusOr<bool> HasKine(Connection& connection) {
    ASSIGN_OR_RETURN(const std::optional<Contents> contents,
                     LookInto(connection, endpoint_.database));
    return contents && contents->has_kine;
  }

  // All that a snapshot needs to know, and whether one can be taken.
  StatusOr<Found> Look() {
    Found out;
    ASSIGN_OR_RETURN(out.tools, FindTools());
    ASSIGN_OR_RETURN(const auto connection, Connect(""));
    ASSIGN_OR_RETURN(const Grants grants, Grants::Read(*connection));
    const std::string& database = endpoint_.database;
    if (!grants.Has("SELECT", database)) {
      return WithHint(
          PermissionDeniedError("{} may not read all of database {}: it lacks SELECT",
                                endpoint_.user, database),
          fmt::format(
              "As an administrator: GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON {}.* TO that "
              "account.",
              QuoteName(database)));
    }
    ASSIGN_OR_RETURN(out.contents, LookInto(*connection, database));
    const std::optional<Contents>& contents = out.contents;
    DatastoreState& state = out.state;
    state.kind = kName;
    state.version = connection->version();
    state.location = endpoint_.Describe();
    if (!contents) {  // kine or a restore makes it
      state.empty = true;
      state.warnings.push_back(fmt::format("database {} is not there", database));
      return out;
    }
    state.bytes = contents->bytes;
    state.empty = contents->empty();
    out.parts = {
        .triggers = grants.Has("TRIGGER", database),
        .routines = contents->unreadable_routines == 0,
        .events = grants.Has("EVENT", database),
        .history = CanDumpHistory(out.tools, *connection, *contents),
        .as_bytes = contents->has_kine && contents->tables.size() == 1 && contents->others == 0};
    AddWarnings(*contents, out);
    ASSIGN_OR_RETURN(const std::vector<std::string> left, LeftOvers(*connection, database));
    for (const std::string& name : left)
      state.warnings.push_back(
          fmt::format("database {} is left from a restore that broke off: drop it", name));
    return out;
  }

  void AddWarnings(const Contents& contents, Found& out) {
    std::vector<std::string>& warnings = out.state.warnings;
    if (!contents.unsafe.empty()) {
      warnings.push_back(fmt::format(
          "tables without transactions (not InnoDB) are not consistent in a snapshot: {}",
          Join(contents.unsafe, ", ")));
    }
    if (!contents.versioned.empty() && !out.parts.history) {
      warnings.push_back(
          fmt::format("the history of tables with system versioning is not saved: {}",
                      Join(contents.versioned, ", ")));
    }
    if (!contents.floats.empty()) {
      warnings.push_back(
          fmt::format("columns of type FLOAT are saved with 6 digits: {} (DOUBLE keeps all)",
                      Join(contents.floats, ", ")));
    }
    if (!out.parts.triggers)
      warnings.push_back(fmt::format("{} lacks TRIGGER: triggers are not saved", endpoint_.user));
    if (!out.parts.events)
      warnings.push_back(fmt::format("{} lacks EVENT: events are not saved", endpoint_.user));
    if (!out.parts.routines) {
      warnings.push_back(fmt::format(
          "{} may not read {} stored routines (SELECT on mysql.proc): they are not saved",
          endpoint_.user, contents.unreadable_routines));
    }
    const bool server_is_mysql = out.state.version.find("MariaDB") == std::string::npos;
    if (server_is_mysql != out.tools.of_mysql) {
      warnings.push_back(
          fmt::format("the server is {}, {} is not: the vendor's own tool fits better",
                      server_is_mysql ? "MySQL" : "MariaDB", out.tools.dump));
    } else if (Series(out.tools.version) < Series(out.state.version)) {
      warnings.push_back(fmt::format("the server ({}) is newer than {} ({})", out.state.version,
                                     out.tools.dump, out.tools.version));
    }
  }

  FileSystem& fs_;
  Clock& clock_;
  const Endpoint endpoint_;
};

StatusOr<std::unique_ptr<Datastore>> OpenMysql(const DatastoreOptions& options) {
  ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint(options.endpoint, options.ca_file,
                                                    options.certificate_file, options.key_file));
  return std::make_unique<MysqlDatastore>(options, std::move(endpoint));
}

constexpr std::array<std::string_view, 1> kSchemes = {kName};

}  // namespace
}  // namespace mysql

const DatastoreKind& MysqlKind() {
  static constexpr DatastoreKind kKind = {
      .name = mysql::kName,
      .schemes = mysql::kSchemes,
      .endpoint_example = "mysql://kine:PASSWORD@tcp(db.example:3306)/kine",
      .default_compression = Compression::kZstd,
      .keeps_history = true,
      .recognizes = mysqldump::IsDump,
      .make_examiner = [](FileSystem&, const std::string&, std::stop_token)
          -> std::unique_ptr<Examiner> { return std::make_unique<mysql::DumpExaminer>(); },
      .open = mysql::OpenMysql,
  };
  return kKind;
}

}  // namespace holdfast
