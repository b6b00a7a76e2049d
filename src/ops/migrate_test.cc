#include "ops/migrate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "formats/kine/content.h"

namespace holdfast {
namespace {

// Keys in memory, as a kine table has them.
class Table final : public Datastore {
 public:
  std::vector<KeyRow> rows;
  bool is_kine = true;
  std::function<void()> after_read;  // who writes meanwhile
  bool drops_last_row = false;       // on the way in

  StatusOr<DatastoreState> Describe() override { return DatastoreState{}; }
  StatusOr<std::unique_ptr<DatastoreSnapshot>> Snapshot(const TakeOptions&) override {
    return UnimplementedError("not needed here");
  }
  StatusOr<RestorePlan> CheckRestore(const RestoreOptions&) override { return RestorePlan{}; }
  Status Restore(Source&, const RestoreOptions&) override { return OkStatus(); }
  StatusOr<SnapshotFacts> ReadContent(std::stop_token) override {
    if (!is_kine) return SnapshotFacts{};
    kine::ContentReader reader;
    for (const KeyRow& row : rows) {
      reader.BeginRow(row.id, row.name, row.deleted, row.prev_revision);
      reader.Value(BytesOf(row.value));
      reader.EndRow();
    }
    const kine::Content content = reader.Finish();
    return SnapshotFacts{.revision = content.revision,
                         .live_keys = content.live_keys,
                         .content_hash = content.content_hash};
  }
  Status ReadRows(Rows which, const std::function<Status(const KeyRow&)>& row,
                  std::stop_token) override {
    const std::vector<KeyRow> view = rows;
    for (const KeyRow& r : view) {
      const bool newest = std::none_of(view.begin(), view.end(), [&](const KeyRow& other) {
        return other.name == r.name && other.id > r.id;
      });
      const bool live = newest && !r.deleted && !kine::IsInternalName(r.name);
      if (which == Rows::kAll || live) RETURN_IF_ERROR(row(r));
    }
    if (after_read) after_read();
    return OkStatus();
  }
  StatusOr<std::unique_ptr<KeyWriter>> WriteRows(Rows) override {
    if (!rows.empty()) return FailedPreconditionError("it holds keys");
    return std::make_unique<Writer>(*this);
  }

 private:
  class Writer final : public KeyWriter {
   public:
    explicit Writer(Table& table) : table_(table) {}
    Status Write(const KeyRow& row) override {
      rows_.push_back(row);
      return OkStatus();
    }
    Status Commit() override {
      if (table_.drops_last_row) rows_.pop_back();
      table_.rows = rows_;
      return OkStatus();
    }

   private:
    Table& table_;
    std::vector<KeyRow> rows_;
  };
};

KeyRow Row(std::int64_t id, const std::string& name, const std::string& value,
           bool deleted = false) {
  return {.id = id, .name = name, .deleted = deleted, .value = value};
}

class MigrateTest : public ::testing::Test {
 protected:
  MigrateTest() {
    from_.rows = {Row(1, "compact_rev_key", ""), Row(2, "/a", "old"), Row(3, "/b", "2"),
                  Row(4, "/a", "new"), Row(5, "/b", "", /*deleted=*/true)};
  }
  StatusOr<MigrateReport> Run(Rows which) {
    return Migrate({.from = from_, .to = to_, .which = which});
  }
  Table from_, to_;
};

TEST_F(MigrateTest, CopiesWhatIsLiveAndProvesIt) {
  const MigrateReport report = Run(Rows::kLive).value();
  EXPECT_EQ(report.rows, 1u);
  ASSERT_EQ(to_.rows.size(), 1u);
  EXPECT_EQ(to_.rows[0].value, "new");
  EXPECT_EQ(report.target.content_hash, from_.ReadContent({})->content_hash);
}

TEST_F(MigrateTest, HistoryGoesAlong) {
  EXPECT_EQ(Run(Rows::kAll)->rows, 5u);
  EXPECT_EQ(to_.rows.size(), 5u);
}

TEST_F(MigrateTest, ATargetWithKeysStays) {
  to_.rows = {Row(1, "/theirs", "x")};
  EXPECT_TRUE(absl::IsFailedPrecondition(Run(Rows::kLive).status()));
  EXPECT_EQ(to_.rows.size(), 1u);
}

TEST_F(MigrateTest, ASourceWithoutKeysIsRefused) {
  from_.is_kine = false;
  EXPECT_TRUE(absl::IsFailedPrecondition(Run(Rows::kLive).status()));
}

TEST_F(MigrateTest, AKeyThatDidNotArriveIsNoticed) {
  to_.drops_last_row = true;
  EXPECT_TRUE(absl::IsDataLoss(Run(Rows::kLive).status()));
}

TEST_F(MigrateTest, ASourceThatIsWrittenToMeanwhileIsNoticed) {
  from_.after_read = [this] { from_.rows.push_back(Row(6, "/late", "x")); };
  const Status status = Run(Rows::kLive).status();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_EQ(to_.rows.size(), 1u);
}

}  // namespace
}  // namespace holdfast
