// Copies one object into a store: a snapshot to S3, and back. The only place where that happens.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>

#include "store/object_store.h"

namespace holdfast {

struct CopyOptions {
  std::map<std::string, std::string> attributes = {};
  bool read_soon = false;  // both as in CreateOptions
  // May be null: gets every byte too, and is finished with them. Its error keeps the object from appearing.
  Sink* sink = nullptr;
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};
  std::stop_token stop = {};
};

// The object's bytes; not its metadata. It appears in `to` under `name`, whole, or not at all: the line is
// object->Commit(). kAlreadyExists if `to` has one: nothing is replaced.
Status CopyObject(const RandomAccess& from, ObjectStore& to, const std::string& name,
                  const CopyOptions& options);

}  // namespace holdfast
