#include "postgres/key_rows.h"

#include <algorithm>

#include "postgres/catalogue.h"
#include "postgres/kine_rows.h"

namespace holdfast::postgres {
namespace {

// Sent to the server at once.
constexpr std::size_t kBatchBytes = 256 * kKiB;

// Source: k3s-io/kine pkg/drivers/pgsql/pgsql.go.
constexpr char kSchema[] =
    "CREATE TABLE kine (id BIGSERIAL PRIMARY KEY, name text COLLATE \"C\", created INTEGER, "
    "deleted INTEGER, create_revision BIGINT, prev_revision BIGINT, lease INTEGER, value bytea, "
    "old_value bytea); "
    "CREATE INDEX kine_name_index ON kine (name); "
    "CREATE INDEX kine_name_id_index ON kine (name, id); "
    "CREATE INDEX kine_id_deleted_index ON kine (id, deleted); "
    "CREATE INDEX kine_prev_revision_index ON kine (prev_revision); "
    "CREATE UNIQUE INDEX kine_name_prev_revision_uindex ON kine (name, prev_revision); "
    "CREATE INDEX kine_list_query_index ON kine (name, id DESC, deleted)";

// In one view; `query` selects kine's columns from %table%.
Status CopyRows(Connection& connection, const KineTable& table, std::string_view rows,
                pgdump::KineRowEvents& events) {
  RETURN_IF_ERROR(connection.BeginCopyOut(
      fmt::format("COPY (SELECT {} FROM {} k {}) TO STDOUT WITH (FORMAT binary)",
                  pgdump::kKineColumns, table.Quoted(), rows)));
  pgdump::KineCopyReader reader(events);
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<ByteSpan> data, connection.ReadCopy());
    if (!data) return reader.Finish();
    RETURN_IF_ERROR(reader.Write(*data));
  }
}

// As COPY's text format wants them (documentation of COPY, "Text Format").
void AppendName(std::string& out, std::string_view name) {
  for (const char c : name) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        out += c;
    }
  }
}
void AppendBytes(std::string& out, std::string_view bytes) {
  out += "\\\\x";
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

StatusOr<KineTable> NeedKineTable(Connection& connection) {
  ASSIGN_OR_RETURN(const std::optional<KineTable> table, FindKineTable(connection));
  if (!table) return FailedPreconditionError("the database has no table of kine");
  return *table;
}

class Writer final : public KeyWriter {
 public:
  Writer(std::unique_ptr<Connection> connection, Rows which, std::function<void()> undo)
      : connection_(std::move(connection)), which_(which), undo_(std::move(undo)) {}

  ~Writer() override {
    connection_.reset();
    if (undo_) undo_();
  }

  // Takes the table's lock and begins to write.
  Status Begin() {
    RETURN_IF_ERROR(connection_->Execute("BEGIN"));
    ASSIGN_OR_RETURN(std::optional<KineTable> table, FindKineTable(*connection_));
    if (!table) {
      RETURN_IF_ERROR(connection_->Execute(kSchema), "make kine's table");
      ASSIGN_OR_RETURN(table, NeedKineTable(*connection_));
    }
    table_ = table->Quoted();
    RETURN_IF_ERROR(
        connection_->Execute(fmt::format("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT", table_)));
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     connection_->Query(fmt::format("SELECT FROM {} LIMIT 1", table_)));
    if (!rows.empty()) {
      return WithHint(FailedPreconditionError("table {} holds keys already", table_),
                      "Give the name of a database that is empty or does not exist yet.");
    }
    return connection_->BeginCopyIn(
        fmt::format("COPY {} ({}) FROM STDIN", table_, pgdump::kKineColumns));
  }

  Status Write(const KeyRow& row) override {
    if (which_ == Rows::kAll) {
      Append(row);
    } else {
      // A key that was just created, as kine writes it. A lease is kine's time to live in seconds, in etcd a number that
      // means nothing elsewhere.
      Append({.id = last_id_ + 1,
              .name = row.name,
              .created = true,
              .value = row.value,
              .old_value = {}});
    }
    return batch_.size() < kBatchBytes ? OkStatus() : Send();
  }

  Status Commit() override {
    RETURN_IF_ERROR(Send());
    RETURN_IF_ERROR(connection_->EndCopyIn());
    if (last_id_ > 0) {
      RETURN_IF_ERROR(connection_
                          ->Query("SELECT setval(pg_get_serial_sequence($1, 'id'), $2::bigint)",
                                  {table_, fmt::format("{}", last_id_)})
                          .status());
    }
    RETURN_IF_ERROR(connection_->Execute("COMMIT"));
    undo_ = nullptr;
    return OkStatus();
  }

 private:
  void Append(const KeyRow& row) {
    batch_ += fmt::format("{}\t", row.id);
    AppendName(batch_, row.name);
    batch_ += fmt::format("\t{:d}\t{:d}\t{}\t{}\t{}\t", row.created, row.deleted,
                          row.create_revision, row.prev_revision, row.lease);
    AppendBytes(batch_, row.value);
    batch_ += '\t';
    if (row.old_value) {
      AppendBytes(batch_, *row.old_value);
    } else {
      batch_ += "\\N";
    }
    batch_ += '\n';
    last_id_ = std::max(last_id_, row.id);
  }

  Status Send() {
    RETURN_IF_ERROR(connection_->WriteCopy(batch_));
    batch_.clear();
    return OkStatus();
  }

  std::unique_ptr<Connection> connection_;
  const Rows which_;
  std::function<void()> undo_;
  std::string table_;
  std::string batch_;
  std::int64_t last_id_ = 0;
};

}  // namespace

StatusOr<SnapshotFacts> ReadKineContent(Connection& connection) {
  SnapshotFacts facts;
  RETURN_IF_ERROR(connection.Execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  ASSIGN_OR_RETURN(const std::optional<KineTable> table, FindKineTable(connection));
  if (table) {
    ContentRows content;
    RETURN_IF_ERROR(CopyRows(connection, *table, "", content));
    content.Finish(facts);
  }
  RETURN_IF_ERROR(connection.Execute("COMMIT"));
  return facts;
}

Status ReadKineRows(Connection& connection, Rows which,
                    const std::function<Status(const KeyRow&)>& row) {
  RETURN_IF_ERROR(connection.Execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  ASSIGN_OR_RETURN(const KineTable table, NeedKineTable(connection));
  if (which == Rows::kAll) {
    WholeRows rows(row);
    RETURN_IF_ERROR(CopyRows(connection, table, "ORDER BY id", rows));
  } else {
    const std::function<Status(const KeyRow&)> contents = [&](const KeyRow& one) {
      return kine::IsInternalName(one.name) ? OkStatus() : row(one);
    };
    WholeRows rows(contents);
    RETURN_IF_ERROR(
        CopyRows(connection, table,
                 fmt::format("WHERE deleted = 0 AND NOT EXISTS (SELECT FROM {} later WHERE "
                             "later.name = k.name AND later.id > k.id) ORDER BY id",
                             table.Quoted()),
                 rows));
  }
  return connection.Execute("COMMIT");
}

StatusOr<std::unique_ptr<KeyWriter>> WriteKineRows(std::unique_ptr<Connection> connection,
                                                   Rows which, std::function<void()> undo) {
  auto writer = std::make_unique<Writer>(std::move(connection), which, std::move(undo));
  RETURN_IF_ERROR(writer->Begin());
  return writer;
}

}  // namespace holdfast::postgres
