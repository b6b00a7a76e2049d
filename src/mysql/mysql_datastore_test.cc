// Against a real MariaDB, started here; skipped where there is none (scripts/packages.txt has it).
#include "mysql/mysql_datastore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/checksum.h"
#include "mysql/connection.h"
#include "mysql/database.h"
#include "os/process.h"
#include "os/system_clock.h"
#include "stream/memory.h"
#include "testing/streams.h"
#include "testing/temp_dir.h"

namespace holdfast::mysql {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class MariaDb : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto server = FindProgram("mariadbd"), install = FindProgram("mariadb-install-db");
    if (!server.ok() || !install.ok()) GTEST_SKIP() << "no MariaDB server here";
    const std::string data = "--datadir=" + (dir_ / "data"), socket = dir_ / "s";
    const std::string user = ::getuid() == 0 ? "root" : ::getlogin();
    // Of its own: a server that starts removes the temporary tables of others in it.
    const std::string temporary = "--tmpdir=" + (dir_ / "tmp");
    ASSERT_TRUE(PosixFileSystem().MakeDirectory(dir_ / "tmp", 0700).ok());
    const auto installed =
        RunAndRead({*install, "--no-defaults", data, temporary, "--user=" + user, "--skip-test-db",
                    "--auth-root-authentication-method=normal"},
                   absl::Minutes(1));
    ASSERT_TRUE(installed.ok()) << installed.status();
    auto child = ChildProcess::Start(
        {.argv = {*server, "--no-defaults", data, temporary, "--user=" + user, "--socket=" + socket,
                  "--skip-networking", "--max-allowed-packet=4M",
                  "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin",
                  "--pid-file=" + (dir_ / "pid")},
         .on_output_line = [](std::string_view) {}});
    ASSERT_TRUE(child.ok()) << child.status();
    server_ = *std::move(child);
    endpoint_ = *ParseEndpoint(Secret("mysql://root@unix(" + socket + ")/"), "", "", "");
    StatusOr<std::unique_ptr<Connection>> root = UnavailableError("not tried");
    for (int i = 0; i < 600 && !root.ok(); ++i) {
      root = Connection::Open(PosixFileSystem(), endpoint_, "");
      if (!root.ok() && server_->Wait(absl::Milliseconds(100), {})) break;
    }
    ASSERT_TRUE(root.ok()) << root.status();
    root_ = *std::move(root);
    Run("CREATE USER kine@localhost IDENTIFIED BY 'p''w\"#\\\\ x'");
  }

  void Run(const std::string& sql) {
    const Status status = root_->Run(sql);
    ASSERT_TRUE(status.ok()) << status << " " << sql;
  }
  // The last field of the first row.
  std::string One(const std::string& sql) {
    const auto rows = root_->Query(sql);
    if (!rows.ok()) return rows.status().ToString();
    return rows->empty() ? "no row" : rows->at(0).back().value_or("NULL");
  }

  std::unique_ptr<Datastore> Open(const std::string& database, const std::string& login = "root") {
    auto store = MysqlKind().open(
        {.fs = PosixFileSystem(),
         .clock = SystemClock(),
         .endpoint = Secret("mysql://" + login + "@unix(" + endpoint_.socket + ")/" + database),
         .ca_file = "",
         .certificate_file = "",
         .key_file = ""});
    CHECK(store.ok());
    return *std::move(store);
  }
  std::unique_ptr<Datastore> OpenAsKine(const std::string& database) {
    return Open(database, "kine:p'w\"#\\ x");
  }

  struct Taken {
    std::string payload;
    SnapshotFacts facts;
  };
  StatusOr<Taken> Take(Datastore& store) {
    ASSIGN_OR_RETURN(const auto snapshot, store.Snapshot({}));
    Taken out;
    ASSIGN_OR_RETURN(out.payload, testing::ReadAll(*snapshot));
    RETURN_IF_ERROR(snapshot->examiner().Write(BytesOf(out.payload)));
    RETURN_IF_ERROR(snapshot->examiner().Finish());
    out.facts = snapshot->examiner().facts();
    return out;
  }
  Status Bring(Datastore& store, const Taken& taken, bool clean) {
    StringSource source(taken.payload);
    return store.Restore(source, {.clean = clean, .facts = taken.facts});
  }

  // Keys with every byte, an empty value, none, versions, a deletion, kine's own rows.
  void FillKine(const std::string& database) {
    const auto store = Open(database);
    auto writer = store->WriteRows(Rows::kAll);
    ASSERT_TRUE(writer.ok()) << writer.status();
    std::string all;
    for (int i = 0; i < 2000; ++i) all.push_back(static_cast<char>(i * 7 + i / 256));
    const std::vector<KeyRow> rows = {
        {.id = 1, .name = "compact_rev_key", .created = true, .prev_revision = 3, .value = ""},
        {.id = 2, .name = "/a'\\\"`;--", .created = true, .value = "old"},
        {.id = 4,
         .name = "/a'\\\"`;--",
         .create_revision = 2,
         .prev_revision = 2,
         .value = all,
         .old_value = "old"},
        {.id = 5, .name = "/A'\\\"`;--", .created = true, .value = ""},
        {.id = 6, .name = "/gone", .created = true, .lease = 60, .value = "x"},
        {.id = 7,
         .name = "/gone",
         .deleted = true,
         .create_revision = 6,
         .prev_revision = 6,
         .value = "",
         .old_value = "x"},
        {.id = 8, .name = "gap-8", .deleted = true, .value = ""},
        {.id = 9, .name = "/bootstrap/abc", .created = true, .value = "sealed"}};
    for (const KeyRow& row : rows) ASSERT_TRUE((*writer)->Write(row).ok());
    ASSERT_TRUE((*writer)->Commit().ok());
  }

  testing::TempDir dir_;
  std::unique_ptr<ChildProcess> server_;
  Endpoint endpoint_;
  std::unique_ptr<Connection> root_;
};

TEST_F(MariaDb, AKineTableComesBackExactly) {
  FillKine("odd`name");
  const auto store = Open("odd`name");
  const auto state = store->Describe();
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->version, HasSubstr("MariaDB"));
  EXPECT_TRUE(state->warnings.empty()) << state->warnings[0];
  EXPECT_FALSE(state->empty);

  const auto taken = Take(*store);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_TRUE(MysqlKind().recognizes(BytesOf(taken->payload).first(64)));
  EXPECT_THAT(taken->payload, HasSubstr("SET NAMES binary"));  // nothing but kine's table
  const SnapshotFacts& facts = taken->facts;
  EXPECT_EQ(facts.revision, 9);
  EXPECT_EQ(facts.compact_revision, 3);
  EXPECT_EQ(facts.live_keys, 3u);
  EXPECT_EQ(facts.bootstrap.at("/bootstrap/abc"), "sealed");
  EXPECT_EQ(store->ReadContent({})->content_hash, facts.content_hash);
  const std::string checksum = One("CHECKSUM TABLE `odd``name`.kine");

  // Not empty: only with clean; and what is not in the snapshot goes.
  Run("CREATE TABLE `odd``name`.extra (a INT)");
  Run("DELETE FROM `odd``name`.kine WHERE id > 4");
  const Status refused = store->CheckRestore({.facts = facts}).status();
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  ASSERT_TRUE(Bring(*store, *taken, /*clean=*/true).ok());
  EXPECT_EQ(store->ReadContent({})->content_hash, facts.content_hash);
  EXPECT_EQ(One("SELECT GROUP_CONCAT(table_name) FROM information_schema.tables WHERE table_schema "
                "= 'odd`name'"),
            "kine");
  EXPECT_EQ(
      One("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name LIKE '%holdfast%'"),
      "0");

  // The database is gone: it is made again.
  Run("DROP DATABASE `odd``name`");
  EXPECT_TRUE(store->Describe()->empty);
  EXPECT_EQ(Take(*store).status().code(), StatusCode::kNotFound);
  const Status again = Bring(*store, *taken, /*clean=*/false);
  ASSERT_TRUE(again.ok()) << again;
  EXPECT_EQ(store->ReadContent({})->content_hash, facts.content_hash);

  // Row by row elsewhere: with history the same table, without it the same content.
  for (const Rows which : {Rows::kAll, Rows::kLive}) {
    const auto target = Open("copy");
    auto writer = target->WriteRows(which);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(
        store->ReadRows(which, [&](const KeyRow& row) { return (*writer)->Write(row); }, {}).ok());
    ASSERT_TRUE((*writer)->Commit().ok());
    EXPECT_EQ(target->ReadContent({})->content_hash, facts.content_hash);
    if (which == Rows::kAll) {
      EXPECT_EQ(One("CHECKSUM TABLE copy.kine"), checksum);
    }
    EXPECT_EQ(target->WriteRows(which).status().code(), StatusCode::kFailedPrecondition);
    Run("DROP DATABASE copy");
  }
  // What is not committed leaves nothing.
  Run("CREATE DATABASE copy");
  {
    auto writer = Open("copy")->WriteRows(Rows::kLive);
    ASSERT_TRUE(
        (*writer)->Write({.id = 1, .name = "/a", .value = std::string(1'500'000, 'x')}).ok());
    EXPECT_EQ(
        (*writer)->Write({.id = 2, .name = "/b", .value = std::string(5'000'000, 'x')}).code(),
        StatusCode::kResourceExhausted);
  }
  EXPECT_TRUE(Open("copy")->Describe()->empty);
}

TEST_F(MariaDb, ABrokenDumpChangesNothing) {
  FillKine("kine");
  Run("GRANT ALL ON kine.* TO kine@localhost");
  const auto root = Open("kine"), kine = OpenAsKine("kine");
  auto taken = Take(*kine);
  ASSERT_TRUE(taken.ok()) << taken.status();
  Taken broken = *taken;
  const std::size_t at = broken.payload.find("UNLOCK TABLES");
  broken.payload.replace(at, 6, "UNLOKC");
  broken.facts.sha256 = HexOf(Sha256Of(BytesOf(broken.payload)));  // examined as it is

  const Status staged = Bring(*root, broken, /*clean=*/true);
  EXPECT_EQ(staged.code(), StatusCode::kFailedPrecondition) << staged;
  EXPECT_THAT(MessageOf(staged), HasSubstr("UNLOKC"));
  EXPECT_THAT(MessageOf(staged), HasSubstr("database kine is as it was"));
  EXPECT_EQ(root->ReadContent({})->content_hash, taken->facts.content_hash);

  // Without the right to make databases: told before, and after a failure the database is empty, not half full.
  const auto plan = kine->CheckRestore({.clean = true, .facts = taken->facts});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->lines, Contains(HasSubstr("loaded directly")));
  const Status direct = Bring(*kine, broken, /*clean=*/true);
  EXPECT_FALSE(direct.ok());
  EXPECT_THAT(MessageOf(direct), HasSubstr("database kine is empty now"));
  EXPECT_TRUE(kine->Describe()->empty);
  const Status good = Bring(*kine, *taken, /*clean=*/false);
  EXPECT_TRUE(good.ok()) << good;
  EXPECT_EQ(kine->ReadContent({})->content_hash, taken->facts.content_hash);

  Run("GRANT ALL ON `kine\\_holdfast\\_%`.* TO kine@localhost");
  EXPECT_THAT(kine->CheckRestore({.clean = true, .facts = taken->facts})->lines,
              Contains(HasSubstr("first")));
  // The CHECK is before the change: a packet that the server would refuse, somebody who works there.
  SnapshotFacts large = taken->facts;
  large.largest_packet = 5'000'000;
  EXPECT_THAT(MessageOf(kine->CheckRestore({.clean = true, .facts = large}).status()),
              HasSubstr("max_allowed_packet"));
  const auto user = Connection::Open(PosixFileSystem(), endpoint_, "kine");
  EXPECT_THAT(MessageOf(root->CheckRestore({.clean = true, .facts = taken->facts}).status()),
              HasSubstr("in use by root@"));
}

TEST_F(MariaDb, AnotherDumpThanWasExaminedChangesNothing) {
  FillKine("kine");
  const auto root = Open("kine");
  auto taken = Take(*root);
  ASSERT_TRUE(taken.ok()) << taken.status();
  Taken other = *taken;
  other.payload.replace(other.payload.find("UNLOCK"), 6, "unlock");  // as good for MariaDB
  const Status status = Bring(*root, other, /*clean=*/true);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("database kine is as it was"));
  EXPECT_EQ(root->ReadContent({})->content_hash, taken->facts.content_hash);
}

TEST_F(MariaDb, ADatabaseThatIsNotKineComesBackWithAllItHas) {
  Run("CREATE DATABASE app CHARACTER SET latin1");
  Run("USE app");
  Run("CREATE TABLE `o'd``d; -- x` (id INT PRIMARY KEY, t TEXT CHARACTER SET utf8mb4, b LONGBLOB) "
      "COMMENT = 'it''s'");
  Run("INSERT INTO `o'd``d; -- x` VALUES (1, 'ü😀', x'ff00c328'), (2, NULL, REPEAT(x'80', "
      "3000000))");
  Run("CREATE TABLE parent (id INT PRIMARY KEY)");
  Run("CREATE TABLE child (id INT, FOREIGN KEY f (id) REFERENCES parent (id))");
  Run("INSERT INTO parent VALUES (1)");
  Run("INSERT INTO child VALUES (1)");
  Run("CREATE TABLE old_style (id INT) ENGINE = MyISAM");
  const auto store = Open("app");
  EXPECT_THAT(store->Describe()->warnings, Contains(HasSubstr("old_style")));

  const auto tables_only = Take(*store);
  ASSERT_TRUE(tables_only.ok()) << tables_only.status();
  EXPECT_TRUE(tables_only->facts.content_hash.empty());
  EXPECT_GT(tables_only->facts.largest_packet, 3'000'000u);
  const std::string before = One("CHECKSUM TABLE `o'd``d; -- x`");

  Run("CREATE VIEW v AS SELECT id FROM parent");
  Run("CREATE TRIGGER tr BEFORE INSERT ON child FOR EACH ROW SET @a = ';'");
  Run("CREATE PROCEDURE p() BEGIN\n# don't; \"\nSELECT 'a;b'; # `\nEND");
  Run("SET sql_mode = 'NO_BACKSLASH_ESCAPES'");
  Run("CREATE FUNCTION f() RETURNS TEXT DETERMINISTIC RETURN 'x\\'");
  Run("SET sql_mode = ''");
  Run("CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO SELECT 1");
  const auto taken = Take(*store);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_THAT(taken->payload, HasSubstr("SET NAMES utf8mb4"));
  Run("DROP DATABASE app");
  Run("CREATE DATABASE app CHARACTER SET latin1");
  // From all to all, to tables only, and back.
  for (const Taken* next : {&*taken, &*taken, &*tables_only, &*taken}) {
    const Status status = Bring(*store, *next, /*clean=*/true);
    ASSERT_TRUE(status.ok()) << status << HintOf(status);
    Run("USE app");
    EXPECT_EQ(One("CHECKSUM TABLE `o'd``d; -- x`"), before);
    EXPECT_EQ(One("SELECT HEX(b) FROM `o'd``d; -- x` WHERE id = 1"), "FF00C328");
    const bool all = next == &*taken;
    EXPECT_EQ(One("SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'app'"),
              all ? "1" : "0");
    EXPECT_EQ(One("SELECT COUNT(*) FROM information_schema.events WHERE event_schema = 'app'"),
              all ? "1" : "0");
    EXPECT_EQ(One("SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = 'app'"),
              all ? "2" : "0");
    if (all) {
      EXPECT_EQ(One("SELECT HEX(f())"), "785C");
    }
    EXPECT_EQ(One("SELECT COUNT(*) FROM information_schema.views WHERE table_schema = 'app'"),
              all ? "1" : "0");
    EXPECT_EQ(
        One("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name LIKE '%holdfast%'"),
        "0");
    EXPECT_EQ(root_->Run("INSERT INTO child VALUES (7)").code(),
              StatusCode::kFailedPrecondition);  // the foreign key
    Run("USE mysql");
  }
}

TEST_F(MariaDb, ForeignKeysAndDefaultsComeBack) {
  Run("CREATE DATABASE app COLLATE utf8mb3_polish_ci");
  Run("CREATE TABLE app.parent (id INT PRIMARY KEY)");
  Run("CREATE TABLE app.child (id INT, CONSTRAINT named FOREIGN KEY (id) REFERENCES parent (id), "
      "FOREIGN KEY (id) REFERENCES parent (id))");
  Run("INSERT INTO app.parent VALUES (1)");
  Run("INSERT INTO app.child VALUES (1)");
  const auto store = Open("app");
  const auto taken = Take(*store);
  ASSERT_TRUE(taken.ok()) << taken.status();
  const auto databases = [&] {
    return One(
        "SELECT GROUP_CONCAT(schema_name ORDER BY 1) FROM information_schema.schemata WHERE "
        "schema_name LIKE 'app%' OR schema_name = 'other'");
  };
  EXPECT_THAT(taken->payload, HasSubstr("\nALTER DATABASE CHARACTER SET utf8mb3 COLLATE"));
  const auto collation = [&] {
    return One(
        "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = "
        "'app'");
  };
  Run("INSERT INTO app.parent VALUES (2)");
  Run("ALTER DATABASE app COLLATE latin1_bin");
  for (int i = 0; i < 2; ++i) {
    const Status status = Bring(*store, *taken, /*clean=*/true);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(One("SELECT COUNT(*) FROM app.parent"), "1");
    EXPECT_EQ(
        One("SELECT GROUP_CONCAT(constraint_name, ' ', unique_constraint_schema ORDER BY 1) "
            "FROM information_schema.referential_constraints WHERE constraint_schema = 'app'"),
        "child_ibfk_1 app,named app");
    EXPECT_EQ(databases(), "app");
    EXPECT_EQ(collation(), "utf8mb3_polish_ci");
  }

  // One of another database would follow the old table.
  Run("CREATE DATABASE other");
  Run("CREATE TABLE other.c (id INT, FOREIGN KEY (id) REFERENCES app.parent (id))");
  const auto plan = store->CheckRestore({.clean = true, .facts = taken->facts});
  EXPECT_EQ(plan.status().code(), StatusCode::kFailedPrecondition) << plan.status();
  EXPECT_THAT(MessageOf(plan.status()), HasSubstr("other.c"));
  Run("INSERT INTO app.parent VALUES (3)");
  EXPECT_FALSE(Bring(*store, *taken, /*clean=*/true).ok());
  EXPECT_EQ(One("SELECT COUNT(*) FROM app.parent"), "2");
  EXPECT_EQ(databases(), "app,other");
  // But it finds its table again where that is lost.
  Run("SET foreign_key_checks = 0");
  Run("DROP DATABASE app");
  Run("SET foreign_key_checks = 1");
  const Status again = Bring(*store, *taken, /*clean=*/false);
  ASSERT_TRUE(again.ok()) << again;
  EXPECT_EQ(collation(), "utf8mb3_polish_ci");
  Run("INSERT INTO other.c VALUES (1)");
  EXPECT_FALSE(root_->Run("INSERT INTO other.c VALUES (2)").ok());

  // What a crash after the swap leaves is named.
  Run("CREATE DATABASE app_holdfast_1700000000_old");
  EXPECT_THAT(store->Describe()->warnings, Contains(HasSubstr("app_holdfast_1700000000_old")));
}

TEST_F(MariaDb, ARestoreChangesNoOtherDatabase) {
  Run("CREATE DATABASE live CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci");
  Run("CREATE TABLE live.t (id INT)");
  Run("CREATE PROCEDURE live.p() SELECT 1");
  Run("CREATE TRIGGER `live`.tr BEFORE INSERT ON live.t FOR EACH ROW SET new.id = 1");
  // What was made before keeps the collation of then: the dump alters the database around it.
  Run("ALTER DATABASE live CHARACTER SET utf8mb3 COLLATE utf8mb3_polish_ci");
  const auto taken = Take(*Open("live"));
  ASSERT_TRUE(taken.ok()) << taken.status();
  ASSERT_THAT(taken->payload, HasSubstr("ALTER DATABASE `live`"));
  ASSERT_THAT(taken->payload, HasSubstr("live.t"));
  const auto collations = [&](const std::string& database) {
    const std::string name = Quote(database);
    return One(
        "SELECT GROUP_CONCAT(c ORDER BY n) FROM (SELECT 1 AS n, default_collation_name AS c "
        "FROM information_schema.schemata WHERE schema_name = " +
        name +
        " UNION ALL SELECT 2, database_collation FROM information_schema.routines WHERE "
        "routine_schema = " +
        name +
        " UNION ALL SELECT 3, database_collation FROM information_schema.triggers WHERE "
        "trigger_schema = " +
        name + " AND event_object_schema = " + name + ") AS x");
  };
  const std::string as_made = collations("live");
  EXPECT_EQ(as_made, "utf8mb3_polish_ci,utf8mb4_unicode_ci,utf8mb4_unicode_ci");

  Run("ALTER DATABASE live COLLATE latin1_bin");
  Run("DROP TRIGGER live.tr");
  const Status other = Bring(*Open("copy"), *taken, /*clean=*/false);
  EXPECT_TRUE(other.ok()) << other;
  EXPECT_EQ(collations("copy"), as_made);
  EXPECT_EQ(collations("live"), "latin1_bin,utf8mb4_unicode_ci");
  for (const bool clean : {true, false}) {
    const Status status = Bring(*Open("live"), *taken, clean);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(collations("live"), as_made);
    Run("DROP DATABASE live");
  }
  Run("GRANT ALL ON live.* TO kine@localhost");  // directly
  Run("GRANT SUPER ON *.* TO kine@localhost");
  const Status direct = Bring(*OpenAsKine("live"), *taken, /*clean=*/false);
  EXPECT_TRUE(direct.ok()) << direct;
  EXPECT_EQ(collations("live"), as_made);
}

TEST_F(MariaDb, HistoryIsSavedAndWhatIsLostIsNamed) {
  Run("CREATE DATABASE app");
  Run("CREATE TABLE app.h (id INT PRIMARY KEY, v INT, d DOUBLE) WITH SYSTEM VERSIONING");
  Run("INSERT INTO app.h VALUES (1, 1, 16777217), (2, 1, 0.1)");
  Run("UPDATE app.h SET v = 2");
  Run("DELETE FROM app.h WHERE id = 1");
  const auto history = [&] {
    return One(
        "SELECT GROUP_CONCAT(id, ' ', v, ' ', d, ' ', row_start, ' ', row_end ORDER BY id, v) "
        "FROM app.h FOR SYSTEM_TIME ALL");
  };
  const std::string before = history();
  Run("GRANT ALL ON app.* TO kine@localhost");
  const auto root = Open("app"), kine = OpenAsKine("app");
  EXPECT_TRUE(root->Describe()->warnings.empty()) << root->Describe()->warnings[0];
  for (const bool others : {false, true}) {  // swapped, and copied by the tools
    if (others) Run("CREATE VIEW app.v AS SELECT 1 AS one");
    const auto taken = Take(*root);
    ASSERT_TRUE(taken.ok()) << taken.status();
    Run("DELETE FROM app.h");
    const Status staged = Bring(*root, *taken, /*clean=*/true);
    ASSERT_TRUE(staged.ok()) << staged;
    EXPECT_EQ(history(), before);
    if (others) Run("GRANT SET USER ON *.* TO kine@localhost");
    const Status direct = Bring(*kine, *taken, /*clean=*/true);
    ASSERT_TRUE(direct.ok()) << direct;
    EXPECT_EQ(history(), before);
  }

  Run("CREATE TABLE app.f (f FLOAT)");
  EXPECT_THAT(root->Describe()->warnings, Contains(HasSubstr("6 digits: f.f")));
  // No tool saves these.
  Run("CREATE TABLE app.x (id INT, a BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, b BIGINT "
      "UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (a, b)) WITH SYSTEM "
      "VERSIONING");
  EXPECT_THAT(root->Describe()->warnings, Contains(HasSubstr("is not saved: h, x")));
  EXPECT_TRUE(Take(*root).ok());
}

TEST_F(MariaDb, WhoMayNotMakeWhatTheDumpHoldsIsRefusedBefore) {
  Run("CREATE DATABASE app");
  Run("CREATE TABLE app.t (id INT)");
  Run("CREATE VIEW app.v AS SELECT id FROM app.t");
  Run("CREATE TRIGGER app.tr BEFORE INSERT ON app.t FOR EACH ROW SET @a = 1");
  Run("CREATE PROCEDURE app.p() SELECT 1");
  const auto taken = Take(*Open("app"));
  ASSERT_TRUE(taken.ok()) << taken.status();
  Run("INSERT INTO app.t VALUES (1)");
  const auto kine = OpenAsKine("app");
  const auto refused = [&](std::string_view what) {
    for (const Status& status :
         {kine->CheckRestore({.clean = true, .facts = taken->facts}).status(),
          Bring(*kine, *taken, /*clean=*/true)}) {
      EXPECT_EQ(status.code(), StatusCode::kPermissionDenied) << status;
      EXPECT_THAT(status.ToString(), HasSubstr(std::string(what)));
    }
    EXPECT_EQ(One("SELECT COUNT(*) FROM app.v"), "1");
  };
  for (const std::string database : {"app", "`app\\_holdfast\\_%`"})
    Run("GRANT SELECT, INSERT, CREATE, DROP, ALTER, LOCK TABLES ON " + database +
        ".* TO kine@localhost");
  refused("lacks CREATE VIEW, SHOW VIEW, TRIGGER, CREATE ROUTINE, ALTER ROUTINE");
  Run("GRANT ALL ON app.* TO kine@localhost");
  refused("root@localhost");
  refused("lacks SET USER");
  Run("GRANT SET USER ON *.* TO kine@localhost");
  const auto plan = kine->CheckRestore({.clean = true, .facts = taken->facts});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->lines, Contains(HasSubstr("loaded directly")));  // no views in the other one
  EXPECT_THAT(plan->lines, Contains(HasSubstr("lacks PROCESS")));
  const Status direct = Bring(*kine, *taken, /*clean=*/true);
  EXPECT_TRUE(direct.ok()) << direct;
  EXPECT_EQ(One("SELECT COUNT(*) FROM app.v"), "0");

  // Staged, it has to be read from there again.
  Run("GRANT ALL ON `app\\_holdfast\\_%`.* TO kine@localhost");
  Run("INSERT INTO app.t VALUES (1)");
  const Status unread = Bring(*kine, *taken, /*clean=*/true);
  EXPECT_EQ(unread.code(), StatusCode::kPermissionDenied) << unread;
  EXPECT_THAT(MessageOf(unread), HasSubstr("database app is as it was"));
  EXPECT_EQ(One("SELECT COUNT(*) FROM app.v"), "1");
  Run("GRANT SELECT ON mysql.proc TO kine@localhost");
  const Status staged = Bring(*kine, *taken, /*clean=*/true);
  EXPECT_TRUE(staged.ok()) << staged;
  EXPECT_EQ(One("SELECT definer FROM information_schema.routines WHERE routine_schema = 'app'"),
            "root@localhost");
  Run("GRANT PROCESS ON *.* TO kine@localhost");
  EXPECT_THAT(kine->CheckRestore({.clean = true, .facts = taken->facts})->lines,
              Not(Contains(HasSubstr("PROCESS"))));
}

TEST_F(MariaDb, WhatIsMissingIsNamed) {
  Run("CREATE DATABASE kine");
  const auto kine = OpenAsKine("kine");
  EXPECT_EQ(kine->Describe().status().code(), StatusCode::kPermissionDenied);
  Run("CREATE TABLE kine.t (a INT)");
  Run("GRANT INSERT ON kine.* TO kine@localhost");
  const Status no_select = kine->Describe().status();
  EXPECT_EQ(no_select.code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(HintOf(no_select), HasSubstr("GRANT SELECT"));
  Run("GRANT SELECT ON kine.* TO kine@localhost");
  EXPECT_THAT(kine->Describe()->warnings, Contains(HasSubstr("lacks TRIGGER")));
  EXPECT_TRUE(Take(*kine).ok());
  EXPECT_EQ(kine->CheckRestore({.clean = true}).status().code(), StatusCode::kPermissionDenied);

  const Status wrong = Open("kine", "kine:SECRET")->Describe().status();
  EXPECT_EQ(wrong.code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(wrong.ToString().find("SECRET"), std::string::npos);
  server_->Stop(absl::Seconds(20));
  EXPECT_EQ(kine->Describe().status().code(), StatusCode::kUnavailable);
}

TEST(Grants, PatternsAndNamesAreUnderstood) {
  const Grants grants({"GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*A'",
                       "GRANT SELECT, SHOW VIEW ON `a\\_b%`.* TO `u`@`%`",
                       "GRANT ALL PRIVILEGES ON `q``d`.* TO `u`@`%`",
                       "GRANT INSERT ON `t`.`x` TO `u`@`%`"});
  EXPECT_TRUE(grants.Has("SELECT", "a_b"));
  EXPECT_TRUE(grants.Has("SHOW VIEW", "a_bcd"));
  EXPECT_FALSE(grants.Has("SELECT", "axb"));
  EXPECT_FALSE(grants.Has("INSERT", "a_b"));
  EXPECT_FALSE(grants.Has("INSERT", "t"));
  EXPECT_TRUE(grants.Has("DROP", "q`d"));
  EXPECT_FALSE(grants.HasGlobally("SUPER"));
  EXPECT_TRUE(Grants({"GRANT PROCESS, SET USER ON *.* TO `r`@`h`"}).HasGlobally("SET USER"));
  EXPECT_TRUE(
      Grants({"GRANT ALL PRIVILEGES ON *.* TO `r`@`h` WITH GRANT OPTION"}).Has("DROP", "any"));
}

TEST(StagingName, FitsAndDoesNotCutACharacter) {
  EXPECT_EQ(StagingName("kine", 1700000000), "kine_holdfast_1700000000");
  std::string name;
  for (int i = 0; i < 32; ++i) name += "ü";
  const std::string staging = StagingName(name, 1700000000);
  EXPECT_EQ(OldName("kine", 1700000000), "kine_holdfast_1700000000_old");
  EXPECT_LE(OldName(name, 1700000000).size(), 64u);
  EXPECT_EQ(staging.find("_holdfast_") % 2, 0u);
}

}  // namespace
}  // namespace holdfast::mysql
