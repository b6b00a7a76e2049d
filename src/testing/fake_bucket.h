// A folder of a bucket in memory: objects with attributes and metadata, as the S3 store gives them. Each call can be made to
// fail. Several stores may share one FakeBucket.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "store/object_store.h"
#include "stream/memory.h"

namespace holdfast::testing {

struct FakeBucket {
  struct Object {
    std::string content;
    std::map<std::string, std::string> attributes;
    std::optional<std::string> metadata;
  };
  mutable std::mutex mutex;
  std::map<std::string, Object> objects;
  std::map<std::string, absl::Time> unfinished;  // since when
  // Asked before every call: "create NAME", "write", "commit NAME", "open NAME", "list", "remove NAME",
  // "read-metadata NAME", "write-metadata NAME". An error is what the call returns, without effect.
  std::function<Status(const std::string& call)> fault = [](const std::string&) {
    return OkStatus();
  };

  std::vector<std::string> Names() const {
    const std::scoped_lock lock(mutex);
    std::vector<std::string> out;
    for (const auto& [name, object] : objects) out.push_back(name);
    return out;
  }
};

class FakeS3Store final : public ObjectStore {
 public:
  explicit FakeS3Store(FakeBucket& bucket) : bucket_(bucket) {}

  std::string Location(const std::string& name) const override { return "s3://bucket/" + name; }

  StatusOr<std::unique_ptr<NewObject>> Create(const std::string& name,
                                              const CreateOptions& options) override {
    RETURN_IF_ERROR(bucket_.fault("create " + name));
    const std::scoped_lock lock(bucket_.mutex);
    if (bucket_.objects.contains(name)) return AlreadyExistsError("{} exists", Location(name));
    return std::make_unique<Upload>(bucket_, name, options.attributes);
  }
  StatusOr<std::unique_ptr<RandomAccess>> Open(const std::string& name) override {
    RETURN_IF_ERROR(bucket_.fault("open " + name));
    const std::scoped_lock lock(bucket_.mutex);
    const auto it = bucket_.objects.find(name);
    if (it == bucket_.objects.end()) return NotFoundError("{} does not exist", Location(name));
    return std::make_unique<StringAccess>(it->second.content, Location(name));
  }
  StatusOr<std::vector<ObjectInfo>> List() override {
    RETURN_IF_ERROR(bucket_.fault("list"));
    const std::scoped_lock lock(bucket_.mutex);
    std::vector<ObjectInfo> out;
    for (const auto& [name, object] : bucket_.objects) {
      ObjectInfo info{.name = name, .bytes = object.content.size()};
      if (object.metadata) info.metadata = *object.metadata;
      info.attributes = object.attributes;
      out.push_back(std::move(info));
    }
    return out;
  }
  Status Remove(const std::string& name) override {
    RETURN_IF_ERROR(bucket_.fault("remove " + name));
    const std::scoped_lock lock(bucket_.mutex);
    return bucket_.objects.erase(name) > 0 ? OkStatus() : NotFoundError("{}", Location(name));
  }
  StatusOr<std::map<std::string, std::string>> ReadAttributes(const std::string& name) override {
    const std::scoped_lock lock(bucket_.mutex);
    const auto it = bucket_.objects.find(name);
    if (it == bucket_.objects.end()) return NotFoundError("{} does not exist", Location(name));
    return it->second.attributes;
  }
  StatusOr<std::string> ReadMetadata(const std::string& name) override {
    RETURN_IF_ERROR(bucket_.fault("read-metadata " + name));
    const std::scoped_lock lock(bucket_.mutex);
    const auto it = bucket_.objects.find(name);
    if (it == bucket_.objects.end() || !it->second.metadata) return NotFoundError("no metadata");
    return *it->second.metadata;
  }
  Status WriteMetadata(const std::string& name, std::string_view text) override {
    RETURN_IF_ERROR(bucket_.fault("write-metadata " + name));
    const std::scoped_lock lock(bucket_.mutex);
    bucket_.objects.at(name).metadata = text;
    return OkStatus();
  }
  StatusOr<std::vector<std::string>> RemoveUnfinished(const IsOurs& is_ours) override {
    std::vector<std::string> removed;
    std::erase_if(bucket_.unfinished, [&](const auto& one) {
      const bool ours = is_ours(one.first, one.second);
      if (ours) removed.push_back(one.first);
      return ours;
    });
    return removed;
  }

 private:
  class Upload final : public NewObject {
   public:
    Upload(FakeBucket& bucket, std::string name, std::map<std::string, std::string> attributes)
        : bucket_(bucket), name_(std::move(name)), attributes_(std::move(attributes)) {}
    Status Write(ByteSpan data) override {
      RETURN_IF_ERROR(bucket_.fault("write"));
      content_.append(TextOf(data));
      return OkStatus();
    }
    Status Finish() override { return OkStatus(); }
    Status Commit() override {
      RETURN_IF_ERROR(bucket_.fault("commit " + name_));
      const std::scoped_lock lock(bucket_.mutex);
      if (bucket_.objects.contains(name_)) return AlreadyExistsError("{} exists", name_);
      bucket_.objects[name_] = {content_, attributes_, std::nullopt};
      return OkStatus();
    }
    std::uint64_t bytes() const override { return content_.size(); }

   private:
    FakeBucket& bucket_;
    std::string name_, content_;
    std::map<std::string, std::string> attributes_;
  };

  FakeBucket& bucket_;
};

}  // namespace holdfast::testing
