// The snapshot directory: one file an object (0600), metadata in ../.metadata/<name> (directory 0700, files 0600).
// While it is written an object is "<name>.part"; a killed run may leave that, and nothing else.
#pragma once

#include "os/file_system.h"
#include "store/object_store.h"

namespace holdfast {

class LocalStore final : public ObjectStore {
 public:
  // `fs` must outlive this. The directory must exist when objects are created; a missing one lists as empty.
  LocalStore(FileSystem& fs, std::string directory);

  const std::string& directory() const { return directory_; }

  std::string Location(const std::string& name) const override;
  StatusOr<std::unique_ptr<NewObject>> Create(const std::string& name,
                                              const CreateOptions& options) override;
  StatusOr<std::unique_ptr<RandomAccess>> Open(const std::string& name) override;
  // Regular files of the directory itself; hidden ones and unfinished ones are left out.
  StatusOr<std::vector<ObjectInfo>> List() override;
  Status Remove(const std::string& name) override;
  StatusOr<std::map<std::string, std::string>> ReadAttributes(const std::string& name) override;
  StatusOr<std::string> ReadMetadata(const std::string& name) override;
  Status WriteMetadata(const std::string& name, std::string_view text) override;
  StatusOr<std::vector<std::string>> RemoveUnfinished(const IsOurs& is_ours) override;

 private:
  std::string PathOf(const std::string& name) const;
  std::string MetadataPathOf(const std::string& name) const;

  FileSystem* fs_;
  std::string directory_, metadata_directory_;
};

}  // namespace holdfast
