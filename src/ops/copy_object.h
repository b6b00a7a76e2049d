// Copies one object from a store to another: a snapshot to S3, and back. The only place where that happens.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>

#include "store/object_store.h"

namespace holdfast {

struct CopyOptions {
  std::map<std::string, std::string> attributes = {};
  // May be null: gets every byte too, and is finished with them. Then `check` (may be empty) is called with their number. An
  // error of either keeps the object from appearing.
  Sink* sink = nullptr;
  std::function<Status(std::uint64_t bytes)> check = {};
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};
  std::stop_token stop = {};
};

// The object's bytes; not its metadata. It appears in `to` under the same name, whole, or not at all: the line is
// object->Commit(). kNotFound if `from` has none, kAlreadyExists if `to` has one: nothing is replaced.
Status CopyObject(ObjectStore& from, ObjectStore& to, const std::string& name,
                  const CopyOptions& options);

}  // namespace holdfast
