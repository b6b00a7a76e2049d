#include "mysql/kine_rows.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "formats/kine/content.h"

namespace holdfast::mysql {
namespace {

// As kine makes it (k3s-io/kine pkg/drivers/mysql/mysql.go), but names are told apart by their bytes: kine leaves the
// collation to the default, which takes "A" for "a".
constexpr std::string_view kTable =
    "CREATE TABLE kine (id BIGINT UNSIGNED AUTO_INCREMENT, name VARCHAR(630) CHARACTER SET ascii "
    "COLLATE ascii_bin, created INTEGER, deleted INTEGER, create_revision BIGINT UNSIGNED, "
    "prev_revision BIGINT UNSIGNED, lease INTEGER, value MEDIUMBLOB, old_value MEDIUMBLOB, "
    "PRIMARY KEY (id), KEY kine_name_index (name), KEY kine_name_id_index (name, id), "
    "KEY kine_id_deleted_index (id, deleted), KEY kine_prev_revision_index (prev_revision), "
    "UNIQUE KEY kine_name_prev_revision_uindex (name, prev_revision)) ENGINE = InnoDB";

constexpr std::string_view kInsert =
    "INSERT INTO kine (id, name, created, deleted, create_revision, prev_revision, lease, value, "
    "old_value) VALUES ";
constexpr std::size_t kBatchBytes = 1 * kMiB;

std::int64_t Number(const Field& field) { return field ? ParseInt(*field).value_or(0) : 0; }

class KineWriter final : public KeyWriter {
 public:
  KineWriter(std::unique_ptr<Connection> connection, Rows which, bool exists)
      : connection_(std::move(connection)), which_(which), drop_(!exists) {}

  ~KineWriter() override {
    if (committed_) return;
    // best effort: after a lost connection an empty table may stay
    (void)connection_->Run("ROLLBACK");
    if (drop_) (void)connection_->Run("DROP TABLE kine");
  }

  Status Begin() {
    ASSIGN_OR_RETURN(const std::vector<Row> limit,
                     connection_->Query("SELECT @@max_allowed_packet"));
    packet_max_ = ParseUint(limit.at(0)[0].value_or("")).value_or(kBatchBytes);
    if (drop_) {
      drop_ = false;
      RETURN_IF_ERROR(connection_->Run(kTable));
      drop_ = true;
    }
    RETURN_IF_ERROR(connection_->Run("START TRANSACTION"));
    // All but kine's own rows, see kine::IsInternalName().
    ASSIGN_OR_RETURN(const std::vector<Row> names,
                     connection_->Query("SELECT name FROM kine WHERE name <> 'compact_rev_key' AND "
                                        "name NOT REGEXP '^gap-[0-9]+$' LIMIT 1"));
    if (!names.empty()) {
      return WithHint(FailedPreconditionError("the database holds keys already, {} for one",
                                              names[0][0].value_or("")),
                      "Keys are only written into a datastore without any.");
    }
    // What is there is kine's own: the compact revision of an empty table, gaps.
    return connection_->Run("DELETE FROM kine");
  }

  Status Write(const KeyRow& row) override {
    const bool all = which_ == Rows::kAll;
    // Anew: as kine writes a key that was not there before. A lease is kine's time to live in seconds, in etcd a number
    // that means nothing here: none.
    const std::int64_t id = all ? row.id : ++last_id_;
    std::string text =
        fmt::format("({},{},{},{},{},{},{},_binary", id, Quote(row.name), all ? row.created : true,
                    all && row.deleted, all ? row.create_revision : 0, all ? row.prev_revision : 0,
                    all ? row.lease : 0);
    text += Quote(row.value);
    text += all && row.old_value ? ",_binary" + Quote(*row.old_value) + ")" : ",NULL)";
    if (kInsert.size() + text.size() >= packet_max_) {
      return WithHint(
          ResourceExhaustedError(
              "row {} ({}) needs a packet of {}, the server takes {} (max_allowed_packet)", row.id,
              row.name, FormatBytes(text.size()), FormatBytes(packet_max_)),
          "Raise max_allowed_packet of the server (SET GLOBAL max_allowed_packet = 1073741824).");
    }
    if (!batch_.empty() &&
        batch_.size() + text.size() + 1 >= std::min<std::size_t>(packet_max_, kBatchBytes))
      RETURN_IF_ERROR(Flush());
    if (batch_.empty()) first_ = row.name;
    batch_ += batch_.empty() ? std::string(kInsert) : ",";
    batch_ += text;
    return OkStatus();
  }

  Status Commit() override {
    RETURN_IF_ERROR(Flush());
    RETURN_IF_ERROR(connection_->Run("COMMIT"));
    committed_ = true;
    return OkStatus();
  }

 private:
  Status Flush() {
    if (batch_.empty()) return OkStatus();
    RETURN_IF_ERROR(connection_->Run(batch_), "rows from {} on", first_);
    batch_.clear();
    if (batch_.capacity() > 4 * kBatchBytes) batch_.shrink_to_fit();
    return OkStatus();
  }

  std::unique_ptr<Connection> connection_;
  const Rows which_;
  bool drop_;  // the table is ours: dropped again without Commit()
  bool committed_ = false;
  std::uint64_t packet_max_ = 0;
  std::int64_t last_id_ = 0;
  std::string batch_, first_;
};

}  // namespace

Status ReadKineRows(Connection& connection, Rows which,
                    const std::function<Status(const KeyRow&)>& row, std::stop_token stop) {
  RETURN_IF_ERROR(connection.Run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"));
  RETURN_IF_ERROR(connection.Run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"));
  // The newest row of each name, by bytes (see kTable); 8 bytes each here, so that the rows come in the order of the
  // primary key and nothing is sorted.
  std::vector<std::int64_t> newest;
  if (which == Rows::kLive) {
    RETURN_IF_ERROR(connection.Stream(
        "SELECT MAX(id) FROM kine GROUP BY CAST(name AS BINARY)",
        [&](std::span<const Field> fields) {
          newest.push_back(Number(fields[0]));
          return OkStatus();
        },
        stop));
    std::sort(newest.begin(), newest.end());
  }
  auto next = newest.begin();
  return connection.Stream(
      "SELECT id, name, created, deleted, create_revision, prev_revision, lease, value, old_value "
      "FROM kine ORDER BY id",
      [&](std::span<const Field> fields) {
        KeyRow out;
        out.id = Number(fields[0]);
        out.name = fields[1].value_or("");
        out.deleted = Number(fields[3]) != 0;
        if (which == Rows::kLive) {
          if (next == newest.end() || *next != out.id) return OkStatus();
          ++next;
          if (out.deleted || kine::IsInternalName(out.name)) return OkStatus();
        }
        out.created = Number(fields[2]) != 0;
        out.create_revision = Number(fields[4]);
        out.prev_revision = Number(fields[5]);
        out.lease = Number(fields[6]);
        out.value = fields[7].value_or("");
        if (fields[8]) out.old_value = *fields[8];
        return row(out);
      },
      stop);
}

StatusOr<std::unique_ptr<KeyWriter>> WriteKineRows(std::unique_ptr<Connection> connection,
                                                   Rows which, bool exists) {
  auto writer = std::make_unique<KineWriter>(std::move(connection), which, exists);
  RETURN_IF_ERROR(writer->Begin());
  return writer;
}

}  // namespace holdfast::mysql
