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
  // Gets every byte too and is finished with them; its error keeps the object from appearing. May be null.
  Sink* check = nullptr;
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress = {};
  std::stop_token stop = {};
};

// The object's bytes; not its metadata. It appears in `to` under the same name, whole, or not at all: the line is
// object->Commit(). kNotFound if `from` has none, kAlreadyExists if `to` has one: nothing is replaced.
Status CopyObject(ObjectStore& from, ObjectStore& to, const std::string& name,
                  const CopyOptions& options);

}  // namespace holdfast
