#include "sqlite/sqlite_datastore.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include "base/checksum.h"
#include "sqlite/connection.h"
#include "stream/memory.h"
#include "stream/pump.h"
#include "testing/fake_clock.h"
#include "testing/streams.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

using sqlite::Access;
using sqlite::Connection;
using testing::ReadTestFile;
using testing::WriteTestFile;

KeyRow Row(std::int64_t id, std::string name, std::string value) {
  return {.id = id, .name = std::move(name), .created = true, .value = std::move(value)};
}

class SqliteTest : public ::testing::Test {
 protected:
  SqliteTest() { CHECK(PosixFileSystem().MakeDirectory(scratch_, 0700).ok()); }

  std::unique_ptr<Datastore> Open(const std::string& path) {
    auto opened = SqliteKind().open(
        {.fs = PosixFileSystem(), .clock = clock_, .endpoint = Secret("sqlite://" + path)});
    CHECK(opened.ok());
    return *std::move(opened);
  }

  // A kine table as kine would have it.
  void Fill(const std::string& path, const std::vector<KeyRow>& rows) {
    auto writer = Open(path)->WriteRows(Rows::kAll);
    ASSERT_TRUE(writer.ok()) << writer.status();
    for (const KeyRow& row : rows) ASSERT_TRUE((*writer)->Write(row).ok());
    ASSERT_TRUE((*writer)->Commit().ok());
  }

  std::unique_ptr<Connection> Writer(const std::string& path) {
    auto db = Connection::Open(path, Access::kWrite);
    CHECK(db.ok());
    return *std::move(db);
  }

  struct Taken {
    std::string payload;
    SnapshotFacts facts;
  };
  StatusOr<Taken> Take(Datastore& datastore) {
    ASSIGN_OR_RETURN(const auto snapshot, datastore.Snapshot({.scratch_directory = scratch_}));
    Taken out;
    StringSink payload;
    Sink* const sinks[] = {&payload, &snapshot->examiner()};
    RETURN_IF_ERROR(Pump(*snapshot, sinks).status());
    out.payload = payload.text();
    out.facts = snapshot->examiner().facts();
    EXPECT_EQ(snapshot->size(), out.payload.size());
    return out;
  }

  StatusOr<SnapshotFacts> Examine(std::string_view payload) {
    const auto examiner = SqliteKind().make_examiner(PosixFileSystem(), scratch_, {});
    for (std::size_t i = 0; i < payload.size(); i += 100'000)
      RETURN_IF_ERROR(examiner->Write(BytesOf(payload.substr(i, 100'000))));
    RETURN_IF_ERROR(examiner->Finish());
    return examiner->facts();
  }

  Status Restore(const std::string& path, const Taken& taken, bool clean = false) {
    StringSource source(taken.payload);
    return Open(path)->Restore(source, {.clean = clean, .facts = taken.facts});
  }

  std::vector<std::string> Names(const std::string& directory) {
    std::vector<std::string> out;
    const auto entries = PosixFileSystem().List(directory).value();
    for (const auto& entry : entries) out.push_back(entry.name);
    return out;
  }

  testing::TempDir dir_;
  testing::FakeClock clock_;
  const std::string scratch_ = dir_ / "scratch";
  const std::string path_ = dir_ / "db/state.db";
};

TEST_F(SqliteTest, EndpointsAreKines) {
  const auto location = [&](const std::string& endpoint) {
    const auto opened =
        SqliteKind().open({.fs = PosixFileSystem(), .clock = clock_, .endpoint = Secret(endpoint)});
    if (!opened.ok()) return std::string("refused");
    return MessageOf((*opened)->Describe().status());
  };
  EXPECT_EQ(location("sqlite:///none/state.db?_journal=WAL&cache=shared"),
            "there is no /none/state.db");
  EXPECT_EQ(location("sqlite://none.db"),
            "there is no " + testing::OutputOf("pwd -P | tr -d '\\n'") + "/none.db");
  EXPECT_TRUE(location("sqlite://").ends_with("/db/state.db"));
  EXPECT_EQ(location("postgres://x"), "refused");
  EXPECT_EQ(location("sqlite:///directory/"), "refused");
}

TEST_F(SqliteTest, ASnapshotHoldsTheCommittedRowsOfAnOpenDatabase) {
  Fill(path_, {Row(1, "compact_rev_key", ""), Row(2, "/a", "one"), Row(3, "/b", "\xff\0\xfe")});
  const auto owner = Writer(path_);
  ASSERT_TRUE(
      owner->Run("INSERT INTO kine(name, deleted, prev_revision, value) VALUES ('/c', 0, 0, 'log')")
          .ok());
  ASSERT_TRUE(
      owner->Run("BEGIN; INSERT INTO kine(name, deleted, prev_revision) VALUES ('/d', 0, 0)").ok());
  const auto store = Open(path_);
  const auto taken = Take(*store);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->facts.revision, 4);
  EXPECT_EQ(taken->facts.live_keys, 3u);
  EXPECT_EQ(taken->facts.bytes, taken->payload.size());
  EXPECT_EQ(taken->facts.sha256, HexOf(Sha256Of(BytesOf(taken->payload))));
  EXPECT_EQ(taken->facts.content_hash, store->ReadContent({})->content_hash);
  EXPECT_TRUE(Names(scratch_).empty());
  // The same as what an examiner finds who knows only the bytes.
  const auto examined = Examine(taken->payload);
  ASSERT_TRUE(examined.ok()) << examined.status();
  EXPECT_EQ(examined->content_hash, taken->facts.content_hash);
  EXPECT_EQ(examined->sha256, taken->facts.sha256);
  EXPECT_TRUE(Names(scratch_).empty());
  // And a plain file for everybody else.
  WriteTestFile(dir_ / "copy.db", taken->payload);
  EXPECT_EQ(testing::OutputOf("python3 -c \"import sqlite3; print(sqlite3.connect('" +
                              (dir_ / "copy.db") +
                              "').execute('select count(*), max(name) from kine').fetchall())\""),
            "[(4, 'compact_rev_key')]\n");
}

TEST_F(SqliteTest, AFileIsExaminedWhereItLiesLikeAStream) {
  const std::string path = dir_ / "state.db";
  Fill(path, {Row(1, "/a", "x"), Row(2, "/b", std::string(100'000, 'y'))});
  const auto taken = Take(*Open(path));
  ASSERT_TRUE(taken.ok()) << taken.status();
  const std::string file = dir_ / "payload";
  WriteTestFile(file, taken->payload);
  const auto examine = [&](std::stop_token stop) -> StatusOr<SnapshotFacts> {
    ASSIGN_OR_RETURN(const auto examiner,
                     SqliteKind().make_file_examiner(PosixFileSystem(), file, stop));
    StringSource source(ReadTestFile(file));
    Sink* const sinks[] = {examiner.get()};
    RETURN_IF_ERROR(Pump(source, sinks, {.stop = std::move(stop)}).status());
    return examiner->facts();
  };
  const auto found = examine({});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->sha256, taken->facts.sha256);
  EXPECT_EQ(found->content_hash, taken->facts.content_hash);
  EXPECT_EQ(found->bytes, taken->payload.size());
  // Half a look says nothing.
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(examine(stop.get_token()).status()));
  WriteTestFile(file, taken->payload.substr(0, 8192));
  EXPECT_TRUE(absl::IsDataLoss(examine({}).status()));
}

TEST_F(SqliteTest, ASnapshotEndsAlthoughTheDatabaseChangesAllTheTime) {
  Fill(path_, {});
  const auto owner = Writer(path_);
  ASSERT_TRUE(
      owner
          ->Run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
                "INSERT INTO kine(name, deleted, prev_revision, value) SELECT 'k' || i, 0, 0, "
                "zeroblob(2000) FROM n")
          .ok());
  std::atomic<int> commits = 0;
  std::jthread writer([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      CHECK(owner->Run("UPDATE kine SET value = zeroblob(2001) WHERE id = 1").ok());
      commits.fetch_add(1);
      commits.notify_all();
    }
  });
  commits.wait(0);
  const auto taken = Take(*Open(path_));
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->facts.live_keys, 5000u);
}

TEST_F(SqliteTest, DatabasesThatAreNotKinesAreTakenAllTheSame) {
  ASSERT_TRUE(MakeDirectories(PosixFileSystem(), dir_ / "db", 0700).ok());
  WriteTestFile(path_, "");
  const auto empty = Take(*Open(path_));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_TRUE(Examine(empty->payload).ok());
  EXPECT_TRUE(Open(path_)->Describe()->empty);
  ASSERT_TRUE(Writer(path_)
                  ->Run("CREATE TABLE \"a'; drop \"\"table\"\" \xc3\xbc\" (\"select\" BLOB, x);"
                        "CREATE VIEW kine AS SELECT 1 AS id;"
                        "INSERT INTO \"a'; drop \"\"table\"\" \xc3\xbc\" VALUES (x'ff00fe', 'v')")
                  .ok());
  const auto odd = Take(*Open(path_));
  ASSERT_TRUE(odd.ok()) << odd.status();
  EXPECT_EQ(odd->facts.revision, std::nullopt);
  EXPECT_EQ(odd->facts.content_hash, "");
  EXPECT_FALSE(odd->facts.sha256.empty());
  const auto state = Open(path_)->Describe();
  EXPECT_FALSE(state->empty);
  EXPECT_EQ(state->warnings.size(), 1u);  // no WAL
}

TEST_F(SqliteTest, WhatOnlyHasKinesNameIsNotKines) {
  const std::string rest =
      "name, created, deleted, create_revision, prev_revision, lease, old_value";
  for (const std::string& made :
       {"CREATE TABLE kine (id INTEGER PRIMARY KEY, value AS (hex(name)), " + rest + ")",
        "CREATE TABLE kine (id INTEGER PRIMARY KEY, value, " + rest + ") WITHOUT ROWID",
        "CREATE VIRTUAL TABLE kine USING fts4(id, value, " + rest + ")",
        std::string("CREATE TABLE kine (id INTEGER PRIMARY KEY, name, value)")}) {
    const std::string path = dir_ / "other.db";
    WriteTestFile(path, "");
    ASSERT_TRUE(Writer(path)->Run(made.c_str()).ok()) << made;
    const auto taken = Take(*Open(path));
    ASSERT_TRUE(taken.ok()) << taken.status();
    EXPECT_EQ(taken->facts.revision, std::nullopt) << made;
    ::unlink(path.c_str());
  }
}

TEST_F(SqliteTest, KineWithoutRowsHasRevisionZero) {
  Fill(path_, {});
  const auto taken = Take(*Open(path_));
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(Names(dir_ / "db"), (std::vector<std::string>{"state.db"}));
  EXPECT_EQ(taken->facts.revision, 0);
  EXPECT_EQ(taken->facts.live_keys, 0u);
}

TEST_F(SqliteTest, ALargeValueIsReadInPieces) {
  const std::string large = testing::SampleText(3'000'000);
  Fill(path_, {Row(1, "/large", large), Row(2, "/none", "")});
  const auto taken = Take(*Open(path_));
  ASSERT_TRUE(taken.ok()) << taken.status();
  // The same keys in small, by the same definition.
  Sha256 entry;
  const std::string length("\6\0\0\0\0\0\0\0", 8);
  entry.Update(BytesOf(length + "/large" + large));
  std::vector<Sha256Digest> entries = {entry.Finish(),
                                       Sha256Of(BytesOf(std::string("\5\0\0\0\0\0\0\0/none", 13)))};
  std::sort(entries.begin(), entries.end());
  Sha256 all;
  for (const auto& e : entries) all.Update(e);
  EXPECT_EQ(taken->facts.content_hash, HexOf(all.Finish()));
}

TEST_F(SqliteTest, WhatIsNoDatabaseIsSaidToBeNone) {
  ASSERT_TRUE(MakeDirectories(PosixFileSystem(), dir_ / "db", 0700).ok());
  WriteTestFile(path_,
                "this is not a database, but it is long enough to be taken for one........."
                "................................................................");
  EXPECT_EQ(MessageOf(Open(path_)->Describe().status()), path_ + ": file is not a database");
  EXPECT_TRUE(absl::IsDataLoss(Take(*Open(path_)).status()));
  EXPECT_FALSE(SqliteKind().recognizes(BytesOf("SQLite format 4")));
  EXPECT_TRUE(absl::IsDataLoss(Examine("PK").status()));
  EXPECT_TRUE(absl::IsDataLoss(Examine("").status()));
}

TEST_F(SqliteTest, DamageIsFoundWhereverItIs) {
  std::vector<KeyRow> rows;
  for (int i = 1; i <= 300; ++i)
    rows.push_back(Row(i, fmt::format("/key-{}", i), std::string(900, 'v')));
  Fill(path_, rows);
  const auto taken = Take(*Open(path_));
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_TRUE(SqliteKind().recognizes(BytesOf(taken->payload).first(64)));
  // Cut off anywhere.
  for (const std::size_t size : {std::size_t{16}, std::size_t{4096}, taken->payload.size() / 2,
                                 taken->payload.size() - 4096, taken->payload.size() - 1}) {
    const auto cut = Examine(taken->payload.substr(0, size));
    EXPECT_TRUE(absl::IsDataLoss(cut.status())) << size << ": " << cut.status();
    EXPECT_EQ(MessageOf(cut.status()).find(".part"), std::string::npos) << cut.status();
  }
  // A page of a tree overwritten: any but the first has cells or pointers that do not fit then.
  for (std::size_t page = 1; page < taken->payload.size() / 4096; page += 7) {
    std::string damaged = taken->payload;
    damaged.replace(page * 4096, 4096, std::string(4096, '\x2a'));
    EXPECT_TRUE(absl::IsDataLoss(Examine(damaged).status())) << page;
  }
  EXPECT_TRUE(Names(scratch_).empty());
}

TEST_F(SqliteTest, ADamagedSourceIsNoSnapshot) {
  std::vector<KeyRow> rows;
  for (int i = 1; i <= 300; ++i)
    rows.push_back(Row(i, fmt::format("/key-{}", i), std::string(900, 'v')));
  Fill(path_, rows);
  std::string damaged = ReadTestFile(path_);
  damaged.replace(damaged.size() / 2, 4096, std::string(4096, '\x2a'));
  WriteTestFile(path_, damaged);
  EXPECT_TRUE(absl::IsDataLoss(Take(*Open(path_)).status()));
}

TEST_F(SqliteTest, ARestorePutsTheSnapshotInPlaceAndKeepsWhatWasThere) {
  Fill(path_, {Row(1, "/a", "before")});
  const auto taken = Take(*Open(path_));
  ASSERT_TRUE(taken.ok()) << taken.status();
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path_.c_str(), 1234, 4321), 0);
  }
  // The last owner was killed: a row is in its log only.
  testing::OutputOf("python3 -c \"import sqlite3, os; c = sqlite3.connect('" + path_ +
                    "'); c.execute('insert into kine(name, deleted, prev_revision) values "
                    "(\\\"/late\\\", 0, 0)'); c.commit(); os._exit(0)\"");
  ASSERT_TRUE(Exists(PosixFileSystem(), path_ + "-wal").value());
  EXPECT_TRUE(absl::IsFailedPrecondition(Restore(path_, *taken)));  // not empty
  const Status restored = Restore(path_, *taken, /*clean=*/true);
  ASSERT_TRUE(restored.ok()) << restored;
  const std::string old = fmt::format("state.db-old-{}", absl::ToUnixSeconds(clock_.Now()));
  EXPECT_EQ(Names(dir_ / "db"), (std::vector<std::string>{"state.db", old}));
  EXPECT_EQ(ReadTestFile(path_), taken->payload);
  EXPECT_EQ(Open(dir_ / ("db/" + old))->ReadContent({})->live_keys, 2u);
  struct stat st;
  ASSERT_EQ(::stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777u, 0640u);
  if (::geteuid() == 0) {
    EXPECT_EQ(st.st_uid, 1234u);
  }
}

TEST_F(SqliteTest, ARestoreWhereNothingIsMakesItPrivate) {
  Fill(path_, {Row(1, "/a", "x")});
  const auto taken = Take(*Open(path_));
  ASSERT_TRUE(taken.ok());
  const std::string fresh = dir_ / "new/er/state.db";
  ASSERT_TRUE(Restore(fresh, *taken).ok());
  EXPECT_EQ(PosixFileSystem().Stat(fresh)->mode, 0600u);
  EXPECT_EQ(PosixFileSystem().Stat(dir_ / "new/er")->mode, 0700u);
  EXPECT_EQ(Open(fresh)->ReadContent({})->content_hash, taken->facts.content_hash);
}

TEST_F(SqliteTest, ARestoreOverSomethingDamagedKeepsItsFiles) {
  Fill(path_, {Row(1, "/a", "x")});
  const auto taken = Take(*Open(path_));
  WriteTestFile(path_, std::string(5000, 'x'));
  WriteTestFile(path_ + "-wal", "a log");
  ASSERT_TRUE(Restore(path_, *taken, /*clean=*/true).ok());
  const std::string old = fmt::format("{}-old-{}", path_, absl::ToUnixSeconds(clock_.Now()));
  EXPECT_EQ(ReadTestFile(old), std::string(5000, 'x'));
  // Either aside or, as here, found by SQLite to hold nothing.
  EXPECT_FALSE(Exists(PosixFileSystem(), path_ + "-wal").value());
}

TEST_F(SqliteTest, ARestoreOfOtherBytesThanExaminedChangesNothing) {
  Fill(path_, {Row(1, "/a", "x")});
  auto taken = Take(*Open(path_));
  const std::string before = ReadTestFile(path_);
  taken->payload.back() ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(Restore(path_, *taken, /*clean=*/true)));
  EXPECT_EQ(ReadTestFile(path_), before);
  EXPECT_FALSE(Exists(PosixFileSystem(), path_ + ".part").value());
}

TEST_F(SqliteTest, WhatIsStagedIsInPlaceOnlyWhenItIsCommitted) {
  Fill(path_, {Row(1, "/a", "x")});
  const auto taken = Take(*Open(path_));
  const std::string fresh = dir_ / "fresh/state.db";
  const auto store = Open(fresh);
  EXPECT_EQ(*store->Stage({}), nullptr);  // no directory yet, and none is made
  EXPECT_FALSE(Exists(PosixFileSystem(), dir_ / "fresh").value());
  ASSERT_TRUE(PosixFileSystem().MakeDirectory(dir_ / "fresh", 0700).ok());
  for (const bool commit : {false, true}) {
    auto staged = store->Stage({.facts = {.bytes = taken->payload.size()}});
    ASSERT_TRUE(staged.ok()) << staged.status();
    EXPECT_TRUE((*staged)->plan().sets_aside);
    StringSource source(taken->payload);
    Sink* const sinks[] = {staged->get()};
    ASSERT_TRUE(Pump(source, sinks).ok());
    EXPECT_EQ(Names(dir_ / "fresh"), (std::vector<std::string>{"state.db.part"}));
    if (commit) {
      EXPECT_TRUE((*staged)->Commit().ok());
    }
    staged->reset();
    EXPECT_EQ(Names(dir_ / "fresh").size(), commit ? 1u : 0u);
  }
  EXPECT_EQ(ReadTestFile(fresh), taken->payload);
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Stage({}).status()));  // not empty by now
  EXPECT_TRUE(absl::IsResourceExhausted(
      store->Stage({.clean = true, .facts = {.bytes = 1ull << 60}}).status()));
  EXPECT_EQ(Names(dir_ / "fresh"), (std::vector<std::string>{"state.db"}));
}

TEST_F(SqliteTest, WhatCameToBeMeanwhileIsNotReplaced) {
  Fill(path_, {Row(1, "/a", "x")});
  const auto taken = Take(*Open(path_));
  ASSERT_TRUE(PosixFileSystem().MakeDirectory(dir_ / "fresh", 0700).ok());
  const std::string fresh = dir_ / "fresh/state.db";
  const auto store = Open(fresh);
  auto staged = store->Stage({});
  ASSERT_TRUE(staged.ok()) << staged.status();
  StringSource source(taken->payload);
  Sink* const sinks[] = {staged->get()};
  ASSERT_TRUE(Pump(source, sinks).ok());
  Fill(fresh, {Row(1, "/somebody's", "y")});
  const std::string somebodys = ReadTestFile(fresh);
  EXPECT_EQ(MessageOf((*staged)->Commit()), fresh + " is not empty");
  EXPECT_EQ(ReadTestFile(fresh), somebodys);
  EXPECT_EQ(Names(dir_ / "fresh"), (std::vector<std::string>{"state.db"}));
}

// All bytes have come: what takes long is the check, and that ends.
TEST_F(SqliteTest, AStopEndsAnExamination) {
  Fill(path_, {Row(1, "/a", "x")});
  const auto taken = Take(*Open(path_));
  WriteTestFile(dir_ / "payload", taken->payload);
  for (const bool file : {false, true}) {
    std::stop_source stop;
    std::unique_ptr<Examiner> examiner;
    if (file) {
      examiner =
          *SqliteKind().make_file_examiner(PosixFileSystem(), dir_ / "payload", stop.get_token());
    } else {
      examiner = SqliteKind().make_examiner(PosixFileSystem(), scratch_, stop.get_token());
    }
    ASSERT_TRUE(examiner->Write(BytesOf(taken->payload)).ok());
    stop.request_stop();
    EXPECT_TRUE(absl::IsCancelled(examiner->Finish())) << file;
  }
}

TEST_F(SqliteTest, OfTwoRestoresAtOnceTheSecondIsRefused) {
  Fill(path_, {Row(1, "/a", "x")});
  const auto taken = Take(*Open(path_));
  ASSERT_TRUE(PosixFileSystem().MakeDirectory(dir_ / "fresh", 0700).ok());
  const std::string fresh = dir_ / "fresh/state.db";
  WriteTestFile(fresh + ".part", "what a crash left");
  const auto store = Open(fresh);
  auto first = store->Stage({});
  ASSERT_TRUE(first.ok()) << first.status();
  const Status second = Open(fresh)->Stage({}).status();
  EXPECT_EQ(MessageOf(second), "another restore is writing " + fresh + ".part");
  StringSource source(taken->payload);
  Sink* const sinks[] = {first->get()};
  ASSERT_TRUE(Pump(source, sinks).ok());
  ASSERT_TRUE((*first)->Commit().ok());
  EXPECT_EQ(ReadTestFile(fresh), taken->payload);
}

// Open in another process, whether it works at the moment or not, in either journal mode.
TEST_F(SqliteTest, ARestoreIsRefusedWhileSomebodyHasItOpen) {
  for (const std::string mode : {"wal", "delete"}) {
    const std::string path = dir_ / (mode + ".db");
    Fill(path, {Row(1, "/a", "x")});
    const auto taken = Take(*Open(path));
    const std::string script = dir_ / "owner.py", ready = dir_ / ("ready-" + mode);
    WriteTestFile(script,
                  "import sqlite3, sys\n"
                  "c = sqlite3.connect(sys.argv[1])\n"
                  "c.execute('pragma journal_mode=' + sys.argv[2])\n"
                  "c.execute('select * from kine').fetchall()\n"
                  "open(sys.argv[3], 'w').close()\n"
                  "sys.stdin.read()\n");
    ASSERT_EQ(::mkfifo(ready.c_str(), 0600), 0);
    FILE* const owner =
        ::popen(fmt::format("exec python3 {} {} {} {}", script, path, mode, ready).c_str(), "w");
    ASSERT_NE(owner, nullptr);
    EXPECT_EQ(ReadTestFile(ready), "");  // returns when the owner has opened it, and the database
    const Status refused = Restore(path, *taken, /*clean=*/true);
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_NE(MessageOf(refused).find("is in use by python3 (pid "), std::string::npos) << refused;
    EXPECT_FALSE(HintOf(refused).empty());
    EXPECT_FALSE(Open(path)->WriteRows(Rows::kAll).ok());
    ::pclose(owner);
    EXPECT_TRUE(Restore(path, *taken, /*clean=*/true).ok());
  }
}

TEST_F(SqliteTest, RowsComeBackAsTheyWereWritten) {
  KeyRow deleted = Row(9, "/b", "");
  deleted.deleted = true;
  deleted.created = false;
  deleted.create_revision = 5;
  deleted.prev_revision = 5;
  deleted.old_value = std::string("\0old", 4);
  const std::vector<KeyRow> rows = {Row(2, "compact_rev_key", ""), Row(5, "/b", "\xff"), deleted,
                                    Row(10, "gap-10", ""), Row(11, "/c", "three")};
  Fill(path_, rows);
  std::vector<std::string> all, live;
  const auto store = Open(path_);
  const auto note = [](std::vector<std::string>& into) {
    return [&into](const KeyRow& r) {
      into.push_back(fmt::format("{} {} {:d}{:d} {} {} {} {}", r.id, r.name, r.created, r.deleted,
                                 r.create_revision, r.prev_revision, r.value.size(),
                                 r.old_value ? static_cast<int>(r.old_value->size()) : -1));
      return OkStatus();
    };
  };
  ASSERT_TRUE(store->ReadRows(Rows::kAll, note(all), {}).ok());
  ASSERT_TRUE(store->ReadRows(Rows::kLive, note(live), {}).ok());
  EXPECT_EQ(all, (std::vector<std::string>{"2 compact_rev_key 10 0 0 0 -1", "5 /b 10 0 0 1 -1",
                                           "9 /b 01 5 5 0 4", "10 gap-10 10 0 0 0 -1",
                                           "11 /c 10 0 0 5 -1"}));
  EXPECT_EQ(live, (std::vector<std::string>{"11 /c 10 0 0 5 -1"}));
}

TEST_F(SqliteTest, KeysAreWrittenOnlyWhereNoneAre) {
  Fill(path_, {Row(7, "/a", "x")});
  const Status refused = Open(path_)->WriteRows(Rows::kAll).status();
  EXPECT_EQ(MessageOf(refused), path_ + " holds keys already, /a for one");
  const std::string other = dir_ / "other.db";
  Fill(other, {Row(1, "compact_rev_key", "")});
  auto writer = Open(other)->WriteRows(Rows::kLive);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->Write(Row(700, "/x", "y")).ok());
  ASSERT_TRUE((*writer)->Commit().ok());
  EXPECT_EQ(Open(other)->ReadContent({})->live_keys, 1u);
  EXPECT_EQ(Open(other)->Describe()->warnings.size(), 0u);  // in WAL mode
}

TEST_F(SqliteTest, RowsWithoutCommitLeaveNothing) {
  {
    auto writer = Open(path_)->WriteRows(Rows::kAll);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->Write(Row(1, "/a", "x")).ok());
  }
  EXPECT_TRUE(Names(dir_ / "db").empty());
}

TEST_F(SqliteTest, AFullDiskIsSaidToBeFull) {
  Fill(path_, {Row(1, "/a", std::string(2'000'000, 'x'))});
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 1'000'000, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const Status status = Take(*Open(path_)).status();
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(Names(scratch_).empty());
}

TEST_F(SqliteTest, AStopEndsACopy) {
  Fill(path_, {Row(1, "/a", std::string(20'000'000, 'x'))});
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(
      Open(path_)->Snapshot({.scratch_directory = scratch_, .stop = stop.get_token()}).status()));
}

}  // namespace
}  // namespace holdfast
