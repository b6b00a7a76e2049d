// A place that holds somebody's data and that we protect: etcd (ours or another's), SQLite, PostgreSQL, MySQL. One
// interface, one room for each kind; whoever takes, proves or restores snapshots knows only this file. The kinds stand in
// one table, ops/datastores.h.
//
//   Snapshot() --Source--> pump --+--> Examiner: is it whole, what is in it -> Facts -> manifest
//                                 +--> [zip | zstd] --> store
//   store --> [unzip] --> Examiner (a proof before anything is touched) ... --> Restore()
//                    \--> StagedRestore, at the same time, where a kind has it ... --> Commit()
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/redacted.h"
#include "base/status.h"
#include "os/file_system.h"
#include "stream/compression.h"
#include "stream/stream.h"

namespace holdfast {

// What a datastore is and how it does.
struct DatastoreState {
  std::string kind;                   // "etcd", "sqlite", "postgres", "mysql": also in manifests
  std::string version;                // of the server, or of the library for a file
  std::string location;               // for people: the endpoint without secrets
  std::uint64_t bytes = 0;            // about; 0: not known
  bool empty = false;                 // nothing in it that a restore could replace
  std::string cluster_id, member_id;  // of etcd, hex; else empty
  // It works, but should be looked at: an alarm, a member that is down.
  std::vector<std::string> warnings;
};

// What a snapshot holds, learnt by reading all of it.
struct SnapshotFacts {
  // Hex, of the payload as it is restored, uncompressed (of etcd: without the digest at its end).
  std::string sha256;
  std::uint64_t bytes = 0;           // uncompressed
  std::uint64_t largest_packet = 0;  // of MySQL's dumps: what the server must take in one piece
  // Of MySQL's dumps: what is made besides tables ("VIEW"), and the accounts that these run as ("root@localhost").
  std::set<std::string> objects, definers;
  // Of etcd and of kine tables (docs/formats/content-hash.md); none: the database is not kine's.
  std::optional<std::int64_t> revision, compact_revision;
  std::optional<std::uint64_t> live_keys;
  std::string content_hash;
  // The live keys /bootstrap/<token hash> and what is sealed in them.
  std::map<std::string, std::string> bootstrap;
};

// Reads one payload from begin to end. Finish() is OK only if the payload is whole as far as its format can tell
// (kDataLoss says what is broken and where); then facts() holds.
class Examiner : public Sink {
 public:
  virtual const SnapshotFacts& facts() const = 0;
};

// A snapshot being taken: consistent at one point, however long it is read. Read() fails if the datastore or its tool did,
// also at the very end: only a Read() that gave 0 means that all of it came.
class DatastoreSnapshot : public Source {
 public:
  virtual const DatastoreState& origin() const = 0;
  // Exact, or none where only the end tells.
  virtual std::optional<std::uint64_t> size() const = 0;
  // For progress only; 0: no idea.
  virtual std::uint64_t size_estimate() const { return size().value_or(0); }
  // Belongs to this stream; to be fed with what Read() gave.
  virtual Examiner& examiner() = 0;
};

struct TakeOptions {
  // Where a kind that needs one makes a file without a name (gone whatever happens); of the size of the data.
  std::string scratch_directory;
  absl::Duration stall_timeout = absl::Seconds(60);
  std::stop_token stop = {};
};

struct RestoreOptions {
  bool clean = false;   // replace what is there; without it a target that is not empty is refused
  SnapshotFacts facts;  // of the payload, as examined
  std::string scratch_directory;
  // The payload from its begin, for CheckRestore of a kind that must look into it to say what would change (etcd: which
  // keys); may be called again. Empty: the plan says less.
  std::function<StatusOr<std::unique_ptr<Source>>()> open_payload = {};
  std::function<void(std::uint64_t done)> on_progress = {};  // bytes of the payload
  std::stop_token stop = {};
};

// What a restore would do, for the person who is asked.
struct RestorePlan {
  std::vector<std::string> lines;
  bool goes_on_running = false;  // keys are written into a running datastore, while others use it
  // What is there now is kept as it is, damaged or not, beside the new, which is byte for byte what was examined: no
  // snapshot of the old is needed, nor a reading back of the new.
  bool sets_aside = false;
};

// A restore whose payload is written beside its place while it is examined, so that the restore itself is one step. Without
// Commit() nothing of it stays.
class StagedRestore : public Sink {
 public:
  virtual const RestorePlan& plan() const = 0;
  // After Finish(). As Datastore::Restore().
  virtual Status Commit() = 0;
};

// One version of one key, as kine's table has it. Of etcd: the live one.
struct KeyRow {
  std::int64_t id = 0;  // the revision that wrote it
  std::string name;
  bool created = false, deleted = false;
  std::int64_t create_revision = 0, prev_revision = 0, lease = 0;
  std::string value;
  std::optional<std::string> old_value;
};

enum class Rows {
  kLive,  // the last version of each key that is not deleted, without kine's own (compact_rev_key, gap-N)
  kAll,  // every row of a kine table, its own ones as well
};

// Takes rows in the order of their ids (kLive: in any order). Without Commit() nothing of it stays, where the datastore can
// do that (SQL); else (etcd) what was written stays, and the error says so.
class KeyWriter {
 public:
  virtual ~KeyWriter() = default;
  virtual Status Write(const KeyRow& row) = 0;
  virtual Status Commit() = 0;
};

// Calls block; each ends within a deadline of its own or by the stop token it was given. One thread at a time.
// Errors: kUnavailable: cannot be reached; kUnauthenticated, kPermissionDenied: refused, with what is missing;
// kFailedPrecondition: versions that do not fit, a tool that is missing, a target that is not empty; kDataLoss: damaged.
// No error text holds a password.
class Datastore {
 public:
  virtual ~Datastore() = default;

  // Connects and looks; OK means that it answers and a snapshot could be begun: also the check of its health.
  virtual StatusOr<DatastoreState> Describe() = 0;

  virtual StatusOr<std::unique_ptr<DatastoreSnapshot>> Snapshot(const TakeOptions& options) = 0;

  // Everything that can be known before something changes: does the version fit, is the target empty (or clean given), are
  // the rights there, is nobody using it, is there space. Changes nothing.
  virtual StatusOr<RestorePlan> CheckRestore(const RestoreOptions& options) = 0;
  // CheckRestore(), and a place for the payload to be written to while it is examined: of `options.facts` only the size is
  // known, or not even that (0). Changes nothing that anybody uses. Null: Restore() will read the payload again.
  virtual StatusOr<std::unique_ptr<StagedRestore>> Stage(const RestoreOptions& /*options*/) {
    return nullptr;
  }
  // Brings the payload back. On an error the datastore holds what it held before, where it can do that; else the error says
  // what it holds.
  virtual Status Restore(Source& payload, const RestoreOptions& options) = 0;

  // What is in it now, read in one consistent view: to compare after a restore or a migration. `content_hash` is empty if
  // it holds no keys (no kine table).
  virtual StatusOr<SnapshotFacts> ReadContent(std::stop_token stop) = 0;

  // Keys one by one, in one consistent view, ordered by id (of etcd: by name). kFailedPrecondition if this kind has no such
  // rows.
  virtual Status ReadRows(Rows which, const std::function<Status(const KeyRow&)>& row,
                          std::stop_token stop) = 0;
  // Into a datastore without keys; a kine table is made if there is none. With Rows::kAll ids and history stay as they are
  // (kine only); with kLive each key is written anew.
  virtual StatusOr<std::unique_ptr<KeyWriter>> WriteRows(Rows which) = 0;
};

struct DatastoreOptions {
  FileSystem& fs;
  Clock& clock;
  Secret endpoint;                                  // as given; it may hold a password
  std::string ca_file, certificate_file, key_file;  // --datastore-cafile, ...
};

// One kind, as the table has it. All text is static.
struct DatastoreKind {
  std::string_view name;                      // as in DatastoreState::kind
  std::span<const std::string_view> schemes;  // "postgres", "postgresql"
  std::string_view endpoint_example;          // for help and errors
  Compression default_compression;            // of its snapshots: dumps are compressed
  // Keys have their old versions: a kine table. ReadRows and WriteRows know Rows::kAll.
  bool keeps_history = false;
  // A snapshot is an etcd snapshot: verify/ walks its whole structure, restore/ makes data directories of it.
  bool is_etcd_snapshot = false;
  // Do these first bytes (at least 64, or the whole payload) begin a payload of this kind?
  bool (*recognizes)(ByteSpan first_bytes);
  // For a payload of this kind; a kind that must look at it as a file makes one without a name in `scratch_directory`. What
  // takes long at the end ends soon after a stop, as kCancelled.
  std::unique_ptr<Examiner> (*make_examiner)(FileSystem& fs, const std::string& scratch_directory,
                                             std::stop_token stop);
  // The same for a payload that is a plain file on this host, which is looked into where it lies, while its bytes are fed;
  // null: this kind only reads streams.
  StatusOr<std::unique_ptr<Examiner>> (*make_file_examiner)(FileSystem& fs, const std::string& path,
                                                            std::stop_token stop) = nullptr;
  // kInvalidArgument if the endpoint is not understood. Does not connect.
  StatusOr<std::unique_ptr<Datastore>> (*open)(const DatastoreOptions& options);
};

}  // namespace holdfast
