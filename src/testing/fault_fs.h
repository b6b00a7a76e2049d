// Another FileSystem with faults: counts the calls that change something, and from a chosen one on, or only for that one,
// they fail without effect. Keeps a trace of them.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "os/file_system.h"

namespace holdfast::testing {

class FaultFs final : public FileSystem {
 public:
  explicit FaultFs(FileSystem& base) : base_(base) {}

  // The n-th changing call from now on (1 is the next) fails with `error`; with `for_ever` all later ones too, as when the
  // power is cut or the disk is full. 0: no fault.
  void FailAt(int n, Status error, bool for_ever) {
    const std::scoped_lock lock(mutex_);
    countdown_ = n;
    error_ = std::move(error);
    for_ever_ = for_ever;
  }
  bool failed() const {
    const std::scoped_lock lock(mutex_);
    return failed_;
  }
  // "create /x/a.part", "write /x/a.part 0+4096", "sync ...", "rename ... ...", in order.
  std::vector<std::string> trace() const {
    const std::scoped_lock lock(mutex_);
    return trace_;
  }

  StatusOr<std::unique_ptr<File>> OpenForRead(const std::string& path) override {
    return base_.OpenForRead(path);
  }
  StatusOr<std::unique_ptr<File>> OpenForWrite(const std::string& path) override {
    return Wrap(base_.OpenForWrite(path));
  }
  StatusOr<std::unique_ptr<File>> Create(const std::string& path, std::uint32_t mode) override {
    RETURN_IF_ERROR(Change("create {}", path));
    return Wrap(base_.Create(path, mode));
  }
  StatusOr<std::unique_ptr<File>> OpenOrCreate(const std::string& path,
                                               std::uint32_t mode) override {
    return Wrap(base_.OpenOrCreate(path, mode));
  }
  StatusOr<FileInfo> Stat(const std::string& path) override { return base_.Stat(path); }
  StatusOr<std::vector<DirectoryEntry>> List(const std::string& directory) override {
    return base_.List(directory);
  }
  Status MakeDirectory(const std::string& path, std::uint32_t mode) override {
    RETURN_IF_ERROR(Change("mkdir {}", path));
    return base_.MakeDirectory(path, mode);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    RETURN_IF_ERROR(Change("rename {} {}", from, to));
    return base_.Rename(from, to);
  }
  Status RenameNoReplace(const std::string& from, const std::string& to) override {
    RETURN_IF_ERROR(Change("rename {} {}", from, to));
    return base_.RenameNoReplace(from, to);
  }
  Status Exchange(const std::string& a, const std::string& b) override {
    RETURN_IF_ERROR(Change("exchange {} {}", a, b));
    return base_.Exchange(a, b);
  }
  Status Link(const std::string& from, const std::string& to) override {
    RETURN_IF_ERROR(Change("hardlink {} {}", from, to));
    return base_.Link(from, to);
  }
  Status RemoveFile(const std::string& path) override {
    RETURN_IF_ERROR(Change("remove {}", path));
    return base_.RemoveFile(path);
  }
  Status RemoveEmptyDirectory(const std::string& path) override {
    RETURN_IF_ERROR(Change("rmdir {}", path));
    return base_.RemoveEmptyDirectory(path);
  }
  Status SetMode(const std::string& path, std::uint32_t mode) override {
    return base_.SetMode(path, mode);
  }
  Status CopyOwner(const std::string& from, const std::string& to) override {
    return base_.CopyOwner(from, to);
  }
  Status SetModified(const std::string& path, absl::Time time) override {
    return base_.SetModified(path, time);
  }
  Status MakeSymlink(const std::string& target, const std::string& link) override {
    RETURN_IF_ERROR(Change("link {}", link));
    return base_.MakeSymlink(target, link);
  }
  Status SyncDirectory(const std::string& directory) override {
    RETURN_IF_ERROR(Change("syncdir {}", directory));
    return base_.SyncDirectory(directory);
  }
  StatusOr<std::uint64_t> FreeSpace(const std::string& path) override {
    return base_.FreeSpace(path);
  }

 private:
  class FaultFile final : public File {
   public:
    FaultFile(FaultFs& fs, std::unique_ptr<File> file) : fs_(fs), file_(std::move(file)) {}
    const std::string& path() const override { return file_->path(); }
    StatusOr<std::size_t> ReadAt(std::uint64_t offset, MutableByteSpan out) const override {
      return file_->ReadAt(offset, out);
    }
    Status WriteAt(std::uint64_t offset, ByteSpan data) override {
      RETURN_IF_ERROR(fs_.Change("write {} {}+{}", path(), offset, data.size()));
      return file_->WriteAt(offset, data);
    }
    StatusOr<std::uint64_t> Size() const override { return file_->Size(); }
    Status Truncate(std::uint64_t size) override {
      RETURN_IF_ERROR(fs_.Change("truncate {} {}", path(), size));
      return file_->Truncate(size);
    }
    Status Reserve(std::uint64_t size) override {
      RETURN_IF_ERROR(fs_.Change("reserve {} {}", path(), size));
      return file_->Reserve(size);
    }
    void WriteDirectly() override { file_->WriteDirectly(); }
    void StartWriteback(std::uint64_t offset, std::uint64_t size) override {
      file_->StartWriteback(offset, size);
    }
    Status Sync() override {
      RETURN_IF_ERROR(fs_.Change("sync {}", path()));
      return file_->Sync();
    }
    Status TryLock() override { return file_->TryLock(); }

   private:
    FaultFs& fs_;
    std::unique_ptr<File> file_;
  };

  StatusOr<std::unique_ptr<File>> Wrap(StatusOr<std::unique_ptr<File>> file) {
    if (!file.ok()) return file.status();
    return std::make_unique<FaultFile>(*this, *std::move(file));
  }

  template <typename... Args>
  Status Change(fmt::format_string<Args...> format, Args&&... args) {
    const std::scoped_lock lock(mutex_);
    if (failed_ && for_ever_) return error_;
    if (countdown_ > 0 && --countdown_ == 0) {
      failed_ = true;
      return error_;
    }
    trace_.push_back(fmt::format(format, std::forward<Args>(args)...));
    return OkStatus();
  }

  FileSystem& base_;
  mutable std::mutex mutex_;
  int countdown_ = 0;
  bool for_ever_ = false, failed_ = false;
  Status error_;
  std::vector<std::string> trace_;
};

}  // namespace holdfast::testing
