// A place that keeps snapshots by name, with a small metadata text beside each: a local folder, or a folder of an S3 bucket.
//
// An object appears whole or not at all: Create() gives an unfinished one, Commit() makes it durable and gives it its name.
// Names are plain file names. Unfinished objects are never listed or opened.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/random_access.h"
#include "stream/stream.h"

namespace holdfast {

// Removes itself unless committed.
class NewObject : public Sink {
 public:
  // After Finish(): makes it durable and visible. kAlreadyExists if the name is taken by now; nothing is replaced.
  virtual Status Commit() = 0;
  // Written so far.
  virtual std::uint64_t bytes() const = 0;
};

// The attributes an object may have: whose it is.
inline constexpr char kClusterIdAttribute[] = "cluster-id", kNodeNameAttribute[] = "node-name",
                      kTokenHashAttribute[] = "token-hash";

struct CreateOptions {
  // Reserves space where that is possible; 0: unknown.
  std::uint64_t bytes_expected = 0;
  // Otherwise a local folder keeps it out of the kernel's cache.
  bool read_soon = false;
  // Kept where the store can keep them with the object, as S3's user metadata. A local folder keeps none: the metadata
  // text says the same.
  std::map<std::string, std::string> attributes;
  // Ends waits and retries.
  std::stop_token stop;
};

struct ObjectInfo {
  std::string name;
  std::uint64_t bytes = 0;
  absl::Time modified_at;
  // As ReadMetadata() gives it: kNotFound if there are none.
  StatusOr<std::string> metadata = absl::NotFoundError("");
  std::map<std::string, std::string> attributes;
  // Not OK: the store does not let us see whose it is (another account's object, another's encryption key).
  Status attributes_status;
};

// Of an unfinished object: its name, and since when nothing was heard of it, as far as the store knows.
using IsOurs = std::function<bool(std::string_view name, absl::Time since)>;

// Thread-safe.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // Where an object is, as people see it: "file:///var/lib/.../name".
  virtual std::string Location(const std::string& name) const = 0;

  // kAlreadyExists if the name is taken.
  virtual StatusOr<std::unique_ptr<NewObject>> Create(const std::string& name,
                                                      const CreateOptions& options) = 0;

  // kNotFound if there is none.
  virtual StatusOr<std::unique_ptr<RandomAccess>> Open(const std::string& name) = 0;

  // All finished objects with their metadata, sorted by name. One that may not be looked at is listed all the same.
  virtual StatusOr<std::vector<ObjectInfo>> List() = 0;

  // Removes the object, then its metadata. kNotFound if there was no object (metadata that were left are removed).
  virtual Status Remove(const std::string& name) = 0;

  // kNotFound if there is no such object.
  virtual StatusOr<std::map<std::string, std::string>> ReadAttributes(const std::string& name) = 0;

  // kNotFound if there are none.
  virtual StatusOr<std::string> ReadMetadata(const std::string& name) = 0;
  virtual Status WriteMetadata(const std::string& name, std::string_view text) = 0;

  // Removes what killed runs left unfinished and `is_ours`; returns what it removed. Call only when nothing of ours is being
  // written here: others may be writing theirs.
  virtual StatusOr<std::vector<std::string>> RemoveUnfinished(const IsOurs& is_ours) = 0;
};

}  // namespace holdfast
