// With a real PostgreSQL (testing/postgres_server.h); skipped where its package is not installed.
#include "postgres/postgres_datastore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "os/system_clock.h"
#include "stream/memory.h"
#include "testing/postgres_server.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

constexpr char kKineTable[] =
    "SET ROLE kine; CREATE TABLE kine (id bigserial PRIMARY KEY, name text COLLATE \"C\", created "
    "integer, deleted integer, create_revision bigint, prev_revision bigint, lease integer, value "
    "bytea, old_value bytea); CREATE UNIQUE INDEX kine_name_prev_revision_uindex ON kine (name, "
    "prev_revision);";
constexpr char kKineRows[] =
    "INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease, value, "
    "old_value) VALUES ('compact_rev_key', 1, 0, 0, 2, 0, '', NULL), ('/a', 1, 0, 0, 0, 0, "
    "'\\x00ff80', NULL), ('/b', 1, 0, 0, 0, 7, 'b', NULL), ('/a', 0, 0, 2, 2, 0, 'new', "
    "'\\x00ff80'), ('/b', 0, 1, 3, 3, 0, 'b', 'b'), (E'/odd\\tname\\\\\\n', 1, 0, 0, 0, 0, "
    "repeat('x', 1000000)::bytea, NULL), ('gap-9', 0, 1, 0, 0, 0, NULL, NULL)";

class PostgresDatastore : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ::signal(SIGPIPE, SIG_IGN);  // as the program does
    if (const auto binaries = testing::PostgresServer::Binaries())
      server_ = std::make_unique<testing::PostgresServer>(*binaries);
  }
  static void TearDownTestSuite() { server_.reset(); }
  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "no postgresql";
    for (const char* database : {"kine", "other"})
      server_->Sql("postgres", fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", database));
    server_->Sql("postgres", "CREATE DATABASE kine OWNER kine");
  }

  static std::unique_ptr<Datastore> Open(const std::string& database,
                                         const std::string& user = "kine") {
    return PostgresKind()
        .open({.fs = PosixFileSystem(),
               .clock = SystemClock(),
               .endpoint = Secret(server_->Url(database, user)),
               .ca_file = {},
               .certificate_file = {},
               .key_file = {}})
        .value();
  }

  // The payload, and what its examiner says of it.
  static StatusOr<std::pair<std::string, SnapshotFacts>> Take(Datastore& datastore,
                                                              std::size_t piece = 100'000) {
    ASSIGN_OR_RETURN(const auto snapshot, datastore.Snapshot({}));
    std::string out;
    std::vector<std::uint8_t> block(piece);
    while (true) {
      ASSIGN_OR_RETURN(const std::size_t n, snapshot->Read(block));
      if (n == 0) break;
      RETURN_IF_ERROR(snapshot->examiner().Write(ByteSpan(block).first(n)));
      out.append(TextOf(ByteSpan(block).first(n)));
    }
    RETURN_IF_ERROR(snapshot->examiner().Finish());
    return std::pair(out, snapshot->examiner().facts());
  }

  static Status Restore(Datastore& datastore, const std::string& payload,
                        const SnapshotFacts& facts, bool clean = false) {
    StringSource source(payload, 5000);
    const RestoreOptions options{.clean = clean, .facts = facts, .scratch_directory = {}};
    RETURN_IF_ERROR(datastore.CheckRestore(options).status());
    return datastore.Restore(source, options);
  }

  static std::string Dump(const std::string& database) {
    return server_->Sql(database,
                        "SELECT count(*), md5(string_agg(k::text, '' ORDER BY id)) FROM kine k");
  }

  static inline std::unique_ptr<testing::PostgresServer> server_;
};

TEST_F(PostgresDatastore, IsDescribed) {
  const auto datastore = Open("kine");
  DatastoreState state = datastore->Describe().value();
  EXPECT_EQ(state.kind, "postgres");
  EXPECT_TRUE(state.empty);
  EXPECT_GT(state.bytes, 1'000'000u);
  EXPECT_NE(state.version, "");
  server_->Sql("kine", kKineTable);
  EXPECT_FALSE(datastore->Describe()->empty);
  state = Open("other")->Describe().value();
  EXPECT_TRUE(state.empty);
  EXPECT_EQ(state.warnings, std::vector<std::string>{"the database other does not exist"});
}

TEST_F(PostgresDatastore, WhateverAUserMadeIsNotEmpty) {
  const auto is_empty = [] { return Open("kine", "postgres")->Describe()->empty; };
  // As it is after initdb, and with what belongs to others: an extension's own things, and a public that was made anew.
  for (const char* nothing :
       {"SELECT", "CREATE EXTENSION hstore; CREATE EXTENSION btree_gist",
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public", "CREATE TEMPORARY TABLE t (i int)"}) {
    server_->Sql("kine", nothing);
    EXPECT_TRUE(is_empty()) << nothing;
  }
  const std::pair<const char*, const char*> made[] = {
      {"CREATE TABLE t (i int)", "DROP TABLE t"},
      {"CREATE TABLE t (i int) PARTITION BY LIST (i)", "DROP TABLE t"},
      {"CREATE VIEW v AS SELECT 1", "DROP VIEW v"},
      {"CREATE SEQUENCE s", "DROP SEQUENCE s"},
      {"CREATE TYPE mood AS ENUM ('good')", "DROP TYPE mood"},
      {"CREATE SCHEMA k3s", "DROP SCHEMA k3s"},
      {"SELECT lo_create(4711)", "SELECT lo_unlink(4711)"},
      {"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION f"},
      {"CREATE COLLATION c FROM \"C\"", "DROP COLLATION c"},
      {"CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)", "DROP TEXT SEARCH DICTIONARY d"},
      {"CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)",
       "DROP OPERATOR ### (int, int)"},
      {"CREATE CAST (text AS int) WITH INOUT", "DROP CAST (text AS int)"},
      {"CREATE PUBLICATION p", "DROP PUBLICATION p"},
      {"CREATE FOREIGN DATA WRAPPER w", "DROP FOREIGN DATA WRAPPER w"}};
  for (const auto& [make, drop] : made) {
    server_->Sql("kine", make);
    EXPECT_FALSE(is_empty()) << make;
    server_->Sql("kine", drop);
    EXPECT_TRUE(is_empty()) << drop;
  }
}

TEST_F(PostgresDatastore, KineComesBackAsItWasAndIsUnderstood) {
  server_->Sql("kine", kKineTable);
  server_->Sql("kine", kKineRows);
  server_->Sql("kine", "SET ROLE kine; CREATE TABLE \"odd \"\"name\" AS SELECT 1 AS \"a b\"");
  const auto datastore = Open("kine");
  const auto [payload, facts] = Take(*datastore).value();
  EXPECT_TRUE(PostgresKind().recognizes(BytesOf(payload).first(64)));
  EXPECT_EQ(facts.revision, 7);
  EXPECT_EQ(facts.compact_revision, 2);
  EXPECT_EQ(facts.live_keys, 2u);
  EXPECT_EQ(facts.bytes, payload.size());
  EXPECT_EQ(datastore->ReadContent({})->content_hash, facts.content_hash);
  const auto other = Open("other");
  const Status status = Restore(*other, payload, facts);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Dump("other"), Dump("kine"));
  EXPECT_EQ(other->ReadContent({})->content_hash, facts.content_hash);
  EXPECT_EQ(server_->Sql("other", "SELECT \"a b\" FROM \"odd \"\"name\""), "1\n");
  // The vendor's tool alone does it as well.
  server_->Sql("postgres", "DROP DATABASE other");
  server_->Sql("postgres", "CREATE DATABASE other OWNER kine");
  testing::TempDir dir;
  auto file = PosixFileSystem().Create(dir / "dump", 0600).value();
  ASSERT_TRUE(file->WriteAt(0, BytesOf(payload)).ok());
  const auto by_hand =
      RunAndRead({server_->binaries() + "/pg_restore", "-d", server_->Url("other"), dir / "dump"},
                 absl::Seconds(60));
  EXPECT_TRUE(by_hand.ok()) << by_hand.status();
  EXPECT_EQ(Dump("other"), Dump("kine"));
}

TEST_F(PostgresDatastore, WhatIsNotKinesIsBackedUpAllTheSame) {
  server_->Sql("kine",
               "CREATE TABLE kine (id int); INSERT INTO kine VALUES (42); GRANT SELECT ON "
               "kine TO kine; SELECT lo_from_bytea(4711, 'large')");
  const auto datastore = Open("kine", "postgres");
  const auto [payload, facts] = Take(*datastore, 7).value();
  EXPECT_FALSE(facts.revision);
  EXPECT_EQ(facts.content_hash, "");
  const auto other = Open("other", "postgres");
  const Status status = Restore(*other, payload, facts);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(server_->Sql("other", "SELECT id FROM kine"), "42\n");
  EXPECT_EQ(server_->Sql("other", "SELECT lo_get(4711)"), "\\x6c61726765\n");
  EXPECT_EQ(other->ReadContent({})->content_hash, "");
}

TEST_F(PostgresDatastore, RowsMayEndWhereAChunkEnds) {
  server_->Sql("kine", kKineTable);
  // With this value the binary COPY fills a chunk: 256 KiB with its length, less the head, the tail and the rest of the row.
  const int fitting = 256 * 1024 - 5 - 19 - 2 - 76;
  for (const int length : {fitting - 1, fitting, fitting + 1}) {
    server_->Sql("kine",
                 fmt::format("TRUNCATE kine; INSERT INTO kine (name, created, deleted, "
                             "create_revision, prev_revision, lease, value) VALUES ('/a', 1, 0, "
                             "0, 0, 0, repeat('x', {})::bytea)",
                             length));
    server_->Sql("postgres", "DROP DATABASE IF EXISTS other");
    const auto taken = Take(*Open("kine"));
    ASSERT_TRUE(taken.ok()) << length << ": " << taken.status();
    const Status status = Restore(*Open("other"), taken->first, taken->second);
    EXPECT_TRUE(status.ok()) << length << ": " << status;
    EXPECT_EQ(Dump("other"), Dump("kine"));
  }
}

TEST_F(PostgresDatastore, NothingAndNoRowsAreRight) {
  auto empty = Take(*Open("kine")).value();
  ASSERT_TRUE(Restore(*Open("other"), empty.first, empty.second).ok());
  server_->Sql("postgres", "DROP DATABASE other");
  server_->Sql("kine", kKineTable);
  auto [payload, facts] = Take(*Open("kine")).value();
  EXPECT_EQ(facts.live_keys, 0u);
  EXPECT_EQ(facts.revision, 0);
  ASSERT_TRUE(Restore(*Open("other"), payload, facts).ok());
  EXPECT_EQ(Dump("other"), Dump("kine"));
}

TEST_F(PostgresDatastore, ATargetThatIsNotEmptyIsReplacedOnlyWhenThatIsWanted) {
  server_->Sql("kine", kKineTable);
  server_->Sql("kine", kKineRows);
  const auto datastore = Open("kine");
  const auto [payload, facts] = Take(*datastore).value();
  const std::string before = Dump("kine");
  server_->Sql("kine", "UPDATE kine SET value = 'changed'");
  Status status = Restore(*datastore, payload, facts);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(MessageOf(status), "database kine is not empty");
  status = Restore(*datastore, payload, facts, /*clean=*/true);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Dump("kine"), before);
}

TEST_F(PostgresDatastore, AFailedRestoreLeavesWhatWasThere) {
  server_->Sql("kine", kKineTable);
  server_->Sql("kine", kKineRows);
  const auto datastore = Open("kine");
  auto [payload, facts] = Take(*datastore).value();
  server_->Sql("kine", "UPDATE kine SET value = 'changed'");
  const std::string before = Dump("kine");
  // One bit of a value: pg_restore would take it.
  payload[payload.rfind("xxxx")] = 'y';
  Status status = Restore(*datastore, payload, facts, /*clean=*/true);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
  EXPECT_EQ(Dump("kine"), before);
  status = Restore(*Open("other"), payload, facts);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_EQ(server_->Sql("postgres", "SELECT FROM pg_database WHERE datname = 'other'"), "");
  std::stop_source stop;
  StringSource source(payload, 5000);
  status = Open("other")->Restore(source, {.facts = facts,
                                           .scratch_directory = {},
                                           .on_progress = [&](auto) { stop.request_stop(); },
                                           .stop = stop.get_token()});
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_EQ(server_->Sql("postgres", "SELECT FROM pg_database WHERE datname = 'other'"), "");
  status = Restore(*Open("other"), payload.substr(0, payload.size() / 2), facts);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(server_->Sql("postgres", "SELECT FROM pg_database WHERE datname = 'other'"), "");
}

TEST_F(PostgresDatastore, MissingRolesAndRightsAreNamed) {
  server_->Sql("kine", kKineTable);
  server_->Sql("postgres", "CREATE ROLE gone; CREATE ROLE weak LOGIN");
  server_->Sql("kine", "ALTER TABLE kine OWNER TO gone");
  const auto [payload, facts] = Take(*Open("kine", "postgres")).value();
  Status status = Take(*Open("kine", "weak")).status();
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(MessageOf(status), HasSubstr("may not read public.kine, public.kine_id_seq"));
  EXPECT_EQ(Open("kine", "weak")->Describe().status().code(), StatusCode::kPermissionDenied);
  server_->Sql("kine", "DROP TABLE kine");
  server_->Sql("postgres", "DROP ROLE gone");
  status = Restore(*Open("other"), payload, facts);
  EXPECT_THAT(MessageOf(status), HasSubstr("roles that do not exist on this server: gone"));
  EXPECT_THAT(HintOf(status), HasSubstr("CREATE ROLE \"gone\";"));
  status = Restore(*Open("other", "weak"), payload, facts);
  EXPECT_EQ(MessageOf(status), "database other does not exist, and user weak may not create it");
  EXPECT_EQ(server_->Sql("postgres", "SELECT FROM pg_database WHERE datname = 'other'"), "");
}

TEST_F(PostgresDatastore, KinesTableIsFoundWhereverItIs) {
  server_->Sql("kine",
               "ALTER DATABASE kine SET search_path = k3s; CREATE SCHEMA k3s AUTHORIZATION kine");
  server_->Sql("kine", kKineTable);
  server_->Sql("kine", kKineRows);
  const auto [payload, facts] = Take(*Open("kine")).value();
  server_->Sql("postgres", "CREATE DATABASE other OWNER kine");
  const Status status = Restore(*Open("other"), payload, facts);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(facts.live_keys, 2u);
  EXPECT_EQ(Open("other")->ReadContent({})->content_hash, facts.content_hash);
  // Nobody knows whose is meant.
  server_->Sql("other",
               "CREATE SCHEMA z; CREATE TABLE z.kine (LIKE k3s.kine); GRANT USAGE ON "
               "SCHEMA z TO kine; GRANT SELECT ON z.kine TO kine");
  EXPECT_EQ(Open("other")->ReadContent({})->content_hash, "");
}

TEST_F(PostgresDatastore, RolesThatOnlyHaveRightsAreMissedBeforeAnythingChanges) {
  server_->Sql("postgres", "CREATE ROLE \"odd \"\"role\"");
  server_->Sql("kine", "CREATE TABLE t (i int); GRANT SELECT ON t TO \"odd \"\"role\"");
  const auto [payload, facts] = Take(*Open("kine", "postgres")).value();
  server_->Sql("kine", "DROP TABLE t; DROP ROLE \"odd \"\"role\"");
  StringSource source(payload, 5000);
  const RestoreOptions options{
      .facts = facts, .scratch_directory = {}, .open_payload = [&payload = payload] {
        return StatusOr<std::unique_ptr<Source>>(std::make_unique<StringSource>(payload, 5000));
      }};
  const Status status = Open("other", "postgres")->CheckRestore(options).status();
  EXPECT_THAT(MessageOf(status), HasSubstr("do not exist on this server: odd \"role"));
  EXPECT_THAT(HintOf(status), HasSubstr("CREATE ROLE \"odd \"\"role\";"));
}

TEST_F(PostgresDatastore, ADatabaseComesBackWithWhatIsItsOwn) {
  server_->Sql("postgres", "DROP DATABASE kine");
  server_->Sql("postgres", "CREATE DATABASE kine OWNER kine TEMPLATE template0 LOCALE 'C'");
  server_->Sql("kine",
               "ALTER DATABASE kine SET search_path = k3s; ALTER DATABASE kine CONNECTION LIMIT 7; "
               "ALTER ROLE kine IN DATABASE kine SET work_mem = '5MB'; COMMENT ON DATABASE kine IS "
               "'it''s; kine'; REVOKE CONNECT ON DATABASE kine FROM PUBLIC; CREATE SCHEMA k3s "
               "AUTHORIZATION kine");
  server_->Sql("kine", kKineTable);
  server_->Sql("kine", kKineRows);
  const std::string own =
      "SELECT datcollate, datctype, pg_get_userbyid(datdba), datconnlimit, "
      "shobj_description(oid, 'pg_database'), current_setting('search_path'), "
      "has_database_privilege('pg_monitor', oid, 'CONNECT'), (SELECT setconfig FROM "
      "pg_db_role_setting WHERE setdatabase = oid AND setrole <> 0) FROM pg_database WHERE datname "
      "= current_database()";
  EXPECT_EQ(server_->Sql("kine", own), "C|C|kine|7|it's; kine|k3s|f|{work_mem=5MB}\n");
  const auto [payload, facts] = Take(*Open("kine")).value();
  for (const char* user : {"postgres", "kine"}) {
    server_->Sql("postgres", "DROP DATABASE IF EXISTS other");
    const auto other = Open("other", user);
    const Status status = Restore(*other, payload, facts);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(server_->Sql("other", own), server_->Sql("kine", own)) << user;
    EXPECT_EQ(other->ReadContent({})->content_hash, facts.content_hash);
  }
  // One that is there keeps what is its own.
  server_->Sql("postgres", "DROP DATABASE other");
  server_->Sql("postgres", "CREATE DATABASE other OWNER kine");
  const Status status = Restore(*Open("other"), payload, facts);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(server_->Sql("other", "SHOW search_path"), "\"$user\", public\n");
  // A locale that this server does not have.
  server_->Sql("postgres", "DROP DATABASE other");
  std::string foreign = payload;
  foreign[foreign.find("LOCALE = 'C'") + 10] = 'X';
  const Status lacking = Restore(*Open("other"), foreign, facts);
  EXPECT_THAT(MessageOf(lacking), HasSubstr("create database other: ERROR:  invalid locale name"));
  EXPECT_THAT(HintOf(lacking), HasSubstr("create the database yourself"));
}

TEST_F(PostgresDatastore, ADatabaseInUseIsNotRestoredInto) {
  server_->Sql("kine", kKineTable);
  const auto datastore = Open("kine");
  const auto [payload, facts] = Take(*datastore).value();
  auto session = ChildProcess::Start({.argv = {server_->binaries() + "/psql", "-c",
                                               "SELECT pg_sleep(1000)", server_->Url("kine")},
                                      .on_output_line = {}})
                     .value();
  const std::string count = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(1000)'";
  while (server_->Sql("postgres", count) != "1\n")
    ASSERT_FALSE(session->Wait(absl::Milliseconds(5), {}));
  const Status status = Restore(*datastore, payload, facts, /*clean=*/true);
  EXPECT_EQ(MessageOf(status), "database kine is in use by kine (psql)");
}

TEST_F(PostgresDatastore, ASnapshotIsOfOneMomentAndBreaksWithTheServer) {
  server_->Sql("kine", kKineTable);
  server_->Sql("kine",
               "INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease, "
               "value) SELECT '/k' || i, 1, 0, 0, 0, 0, repeat(md5(i::text), 300)::bytea FROM "
               "generate_series(1, 3000) i");
  const auto datastore = Open("kine");
  const auto at_that_moment = datastore->ReadContent({}).value();
  const auto snapshot = datastore->Snapshot({}).value();
  server_->Sql("kine", "DELETE FROM kine WHERE id < 1000; UPDATE kine SET value = 'x'");
  std::vector<std::uint8_t> block(1000);
  for (std::size_t n; (n = snapshot->Read(block).value()) != 0;)
    ASSERT_TRUE(snapshot->examiner().Write(ByteSpan(block).first(n)).ok());
  ASSERT_TRUE(snapshot->examiner().Finish().ok());
  EXPECT_EQ(snapshot->examiner().facts().content_hash, at_that_moment.content_hash);

  server_->Sql("kine", "UPDATE kine SET value = repeat('y', 20000)::bytea");
  const auto broken = datastore->Snapshot({}).value();
  ASSERT_TRUE(broken->Read(block).ok());
  server_->Kill();
  StatusOr<std::size_t> n = 1;
  while (n.ok() && *n > 0) n = broken->Read(block);
  EXPECT_EQ(n.status().code(), StatusCode::kUnavailable) << n.status();
  EXPECT_EQ(datastore->Describe().status().code(), StatusCode::kUnavailable);
  server_->Start();
}

TEST_F(PostgresDatastore, RowsMove) {
  server_->Sql("kine", kKineTable);
  server_->Sql("kine", kKineRows);
  for (const Rows which : {Rows::kAll, Rows::kLive}) {
    server_->Sql("postgres", "DROP DATABASE IF EXISTS other");
    auto writer = Open("other")->WriteRows(which).value();
    const Status status =
        Open("kine")->ReadRows(which, [&](const KeyRow& row) { return writer->Write(row); }, {});
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(writer->Commit().ok());
    writer.reset();
    EXPECT_EQ(Open("other")->ReadContent({})->content_hash,
              Open("kine")->ReadContent({})->content_hash);
    if (which == Rows::kAll) {
      EXPECT_EQ(server_->Sql("other", "SELECT nextval('kine_id_seq')"), "8\n");
      EXPECT_EQ(server_->Sql("other",
                             "SELECT id, created, deleted, create_revision, prev_revision, "
                             "lease, old_value FROM kine WHERE name = '/a' ORDER BY id"),
                "2|1|0|0|0|0|\n4|0|0|2|2|0|\\x00ff80\n");
    } else {
      EXPECT_EQ(
          server_->Sql("other", "SELECT id, name, created, lease FROM kine WHERE name = '/a'"),
          "1|/a|1|0\n");
    }
    EXPECT_EQ(MessageOf(Open("other")->WriteRows(which).status()),
              "table \"public\".\"kine\" holds keys already");
  }
  // Without Commit nothing stays.
  server_->Sql("postgres", "DROP DATABASE other");
  auto writer = Open("other")->WriteRows(Rows::kAll).value();
  ASSERT_TRUE(writer->Write({.id = 1, .name = "/x", .value = {}, .old_value = {}}).ok());
  writer.reset();
  EXPECT_EQ(server_->Sql("postgres", "SELECT FROM pg_database WHERE datname = 'other'"), "");
}

TEST_F(PostgresDatastore, LeasesOfEtcdStayThere) {
  auto writer = Open("other")->WriteRows(Rows::kLive).value();
  ASSERT_TRUE(
      writer->Write({.name = "/x", .lease = 0x694d'8f3c'1a2b'3c4d, .value = "v", .old_value = {}})
          .ok());
  const Status status = writer->Commit();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(server_->Sql("other", "SELECT name, lease FROM kine"), "/x|0\n");
}

}  // namespace
}  // namespace holdfast
