#include "postgres/dump.h"

#include <algorithm>

#include "datastore/tool_stream.h"
#include "formats/pgdump/copy_binary.h"
#include "formats/pgdump/head.h"
#include "postgres/archive_examiner.h"
#include "postgres/catalogue.h"
#include "postgres/tools.h"

namespace holdfast::postgres {
namespace {

// A chunk of the archive; pg_restore holds one in memory.
constexpr std::size_t kChunkBytes = 256 * kKiB;

class Dump final : public DatastoreSnapshot {
 public:
  Dump(DatastoreState origin, std::unique_ptr<Connection> connection, std::optional<KineTable> kine,
       std::unique_ptr<Source> pg_dump)
      : origin_(std::move(origin)),
        connection_(std::move(connection)),
        kine_(std::move(kine)),
        pg_dump_(std::move(pg_dump)),
        examiner_(MakeArchiveExaminer()),
        stage_(kine_ ? Stage::kHead : Stage::kRest) {}

  const DatastoreState& origin() const override { return origin_; }
  std::optional<std::uint64_t> size() const override { return std::nullopt; }
  std::uint64_t size_estimate() const override { return origin_.bytes; }
  Examiner& examiner() override { return *examiner_; }

  StatusOr<std::size_t> Read(MutableByteSpan out) override {
    while (at_ == ready_.size()) {
      ready_.clear();
      at_ = 0;
      switch (stage_) {
        case Stage::kHead:
          RETURN_IF_ERROR(MakeHead());
          break;
        case Stage::kRows:
          RETURN_IF_ERROR(MakeChunk());
          break;
        case Stage::kRest:
          return pg_dump_->Read(out);
      }
    }
    const std::size_t n = std::min(out.size(), ready_.size() - at_);
    std::copy_n(BytesOf(ready_).data() + at_, n, out.data());
    at_ += n;
    return n;
  }

 private:
  enum class Stage { kHead, kRows, kRest };

  Status MakeHead() {
    pgdump::HeadParser parser;
    std::string block(64 * kKiB, '\0'), after;
    while (!parser.complete()) {
      ASSIGN_OR_RETURN(
          const std::size_t n,
          pg_dump_->Read({reinterpret_cast<std::uint8_t*>(block.data()), block.size()}));
      if (n == 0) return DataLossError("pg_dump ended within its table of contents");
      ASSIGN_OR_RETURN(const std::size_t taken, parser.Take(BytesOf(block).first(n)), "pg_dump");
      after = block.substr(taken, n - taken);
    }
    const pgdump::Head& head = parser.head();
    const auto table =
        std::find_if(head.entries.begin(), head.entries.end(), [&](const pgdump::Entry& entry) {
          return entry.kind == "TABLE" && entry.tag == kine_->name && entry.schema == kine_->schema;
        });
    if (table == head.entries.end())
      return AbortedError("table {} is not in the dump: was it dropped just now?", kine_->Quoted());
    pgdump::AddedData added =
        pgdump::AddTableData(head, *table, KineCopyStatement(kine_->Quoted()));
    ready_ = std::move(added.head);
    ready_ += '\1';  // a data block
    pgdump::AppendInteger(ready_, added.id);
    rest_ = std::move(after);
    RETURN_IF_ERROR(connection_->BeginCopyOut(fmt::format(
        "COPY {} ({}) TO STDOUT WITH (FORMAT binary)", kine_->Quoted(), pgdump::kKineColumns)));
    stage_ = Stage::kRows;
    return OkStatus();
  }

  // Rows as they come, in chunks of one size.
  Status MakeChunk() {
    pgdump::AppendInteger(ready_, 0);
    while (ready_.size() < kChunkBytes && !rows_ended_) {
      if (row_.empty()) {
        ASSIGN_OR_RETURN(const std::optional<ByteSpan> row, connection_->ReadCopy());
        rows_ended_ = !row;
        row_ = row.value_or(ByteSpan());
      }
      const std::size_t n = std::min(kChunkBytes - ready_.size(), row_.size());
      ready_.append(TextOf(row_.first(n)));
      row_ = row_.subspan(n);
    }
    const std::size_t bytes = ready_.size() - pgdump::kIntegerBytes;
    std::string length;
    pgdump::AppendInteger(length, CheckedCast<std::int32_t>(bytes));
    ready_.replace(0, length.size(), length);
    if (!rows_ended_) return OkStatus();
    RETURN_IF_ERROR(connection_->Execute("COMMIT"));
    // The end mark, which a chunk without bytes is already.
    if (bytes > 0) pgdump::AppendInteger(ready_, 0);
    ready_ += rest_;
    stage_ = Stage::kRest;
    return OkStatus();
  }

  const DatastoreState origin_;
  const std::unique_ptr<Connection> connection_;
  const std::optional<KineTable> kine_;
  const std::unique_ptr<Source> pg_dump_;
  const std::unique_ptr<Examiner> examiner_;
  Stage stage_;
  std::string ready_;  // made, and read up to at_
  std::size_t at_ = 0;
  ByteSpan row_;  // of the row that came last, what is not in a chunk yet
  bool rows_ended_ = false;
  std::string rest_;  // what pg_dump gave beyond the head
};

}  // namespace

StatusOr<std::unique_ptr<DatastoreSnapshot>> BeginDump(FileSystem& fs, const Endpoint& endpoint,
                                                       const TakeOptions& options) {
  const PipeWait wait{options.stall_timeout, options.stop};
  ASSIGN_OR_RETURN(auto connection, Connection::Open(endpoint, "", wait));
  RETURN_IF_ERROR(CheckReadable(*connection));
  ASSIGN_OR_RETURN(const Tool tool, FindTool(fs, "pg_dump", connection->major()));
  // As pg_dump does.
  RETURN_IF_ERROR(connection->Execute(
      "SET row_security = off; SET statement_timeout = 0; SET lock_timeout = '60s'; "
      "SET idle_in_transaction_session_timeout = 0"));
  RETURN_IF_ERROR(connection->Execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  ASSIGN_OR_RETURN(std::optional<KineTable> kine, FindKineTable(*connection));
  DatastoreState origin{
      .kind = "postgres", .version = connection->version(), .location = endpoint.Location()};
  ASSIGN_OR_RETURN(origin.bytes, DatabaseBytes(*connection));
  std::vector<std::string> argv = {tool.path,
                                   "--format=custom",
                                   "--compress=0",
                                   "--no-password",
                                   "--lock-wait-timeout=60s",
                                   "--dbname=" + endpoint.ToolDatabase(endpoint.database())};
  if (kine) {
    ASSIGN_OR_RETURN(const std::vector<Row> id, connection->Query("SELECT pg_export_snapshot()"));
    argv.push_back("--snapshot=" + id.at(0).at(0).value_or(""));
    argv.push_back("--exclude-table-data=" + kine->Quoted());
  } else {
    RETURN_IF_ERROR(connection->Execute("COMMIT"));
  }
  ASSIGN_OR_RETURN(auto pg_dump, ReadFromTool({.argv = std::move(argv),
                                               .environment = endpoint.ToolEnvironment(),
                                               .stop = options.stop,
                                               .stall_timeout = options.stall_timeout}));
  return std::make_unique<Dump>(std::move(origin), std::move(connection), std::move(kine),
                                std::move(pg_dump));
}

}  // namespace holdfast::postgres
