// A file system in memory that knows what a power cut would leave: what was not synced can be lost.
// Crash() gives the disk after a cut as another MemoryFs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/path.h"
#include "os/file_system.h"

namespace holdfast::testing {

enum class Loss {
  kNothing,       // the process was killed, the machine lives: everything written is there
  kUnsyncedData,  // names are there, contents that were not synced are gone
  kUnsynced,      // only synced contents under synced names are there
};

class MemoryFs final : public FileSystem {
 public:
  MemoryFs() : root_(std::make_shared<Node>()) { root_->kind = FileKind::kDirectory; }

  std::unique_ptr<MemoryFs> Crash(Loss loss) const {
    const std::scoped_lock lock(mutex_);
    auto out = std::make_unique<MemoryFs>();
    out->root_ = Survivor(*root_, loss);
    return out;
  }

  // Everything as if synced now: the state a test starts from.
  void SyncAll() {
    const std::scoped_lock lock(mutex_);
    SyncTree(*root_);
  }

  std::uint64_t free_bytes = std::uint64_t{1} << 40;
  bool can_exchange = true;
  std::string busy;               // a mount point: cannot be renamed
  std::function<void()> on_list;  // before each List()

  StatusOr<std::unique_ptr<File>> OpenForRead(const std::string& path) override {
    return Open(path);
  }
  StatusOr<std::unique_ptr<File>> OpenForWrite(const std::string& path) override {
    return Open(path);
  }
  StatusOr<std::unique_ptr<File>> Create(const std::string& path, std::uint32_t mode) override {
    const std::scoped_lock lock(mutex_);
    return CreateLocked(path, mode);
  }
  StatusOr<std::unique_ptr<File>> OpenOrCreate(const std::string& path,
                                               std::uint32_t mode) override {
    const std::scoped_lock lock(mutex_);
    if (auto node = Find(path)) return std::make_unique<MemoryFile>(*this, path, node);
    return CreateLocked(path, mode);
  }
  StatusOr<FileInfo> Stat(const std::string& path) override {
    const std::scoped_lock lock(mutex_);
    const auto node = Find(path);
    if (!node) return Missing("stat", path);
    return InfoOf(*node);
  }
  StatusOr<std::vector<DirectoryEntry>> List(const std::string& directory) override {
    if (on_list) on_list();
    const std::scoped_lock lock(mutex_);
    const auto node = Find(directory);
    if (!node) return Missing("list", directory);
    if (node->kind != FileKind::kDirectory)
      return FailedPreconditionError("list {}: not a directory", directory);
    std::vector<DirectoryEntry> out;
    for (const auto& [name, child] : node->entries) out.push_back({name, InfoOf(*child)});
    return out;
  }
  Status MakeDirectory(const std::string& path, std::uint32_t mode) override {
    const std::scoped_lock lock(mutex_);
    return Add(path, FileKind::kDirectory, mode).status();
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return Move(from, to, true);
  }
  Status RenameNoReplace(const std::string& from, const std::string& to) override {
    return Move(from, to, false);
  }
  Status Exchange(const std::string& a, const std::string& b) override {
    const std::scoped_lock lock(mutex_);
    if (!busy.empty() && (a == busy || b == busy))
      return AbortedError("exchange {} and {}: device or resource busy", a, b);
    if (!can_exchange) return UnimplementedError("exchange {} and {}", a, b);
    const auto node_a = Find(a), node_b = Find(b);
    if (!node_a || !node_b) return Missing("exchange", node_a ? b : a);
    Find(DirName(a))->entries[BaseName(a)] = node_b;
    Find(DirName(b))->entries[BaseName(b)] = node_a;
    return OkStatus();
  }
  Status Link(const std::string& from, const std::string& to) override {
    const std::scoped_lock lock(mutex_);
    const auto node = Find(from), parent = Find(DirName(to));
    if (!node || !parent) return Missing("link", node ? to : from);
    if (!parent->entries.emplace(BaseName(to), node).second)
      return AlreadyExistsError("link {} to {}: exists", from, to);
    return OkStatus();
  }
  Status RemoveFile(const std::string& path) override { return Remove(path, FileKind::kFile); }
  Status RemoveEmptyDirectory(const std::string& path) override {
    return Remove(path, FileKind::kDirectory);
  }
  Status SetMode(const std::string& path, std::uint32_t mode) override {
    const std::scoped_lock lock(mutex_);
    const auto node = Find(path);
    if (!node) return Missing("chmod", path);
    node->mode = mode;
    return OkStatus();
  }
  Status CopyOwner(const std::string& from, const std::string& to) override {
    RETURN_IF_ERROR(Stat(from).status());
    return Stat(to).status();
  }
  Status SetModified(const std::string& path, absl::Time time) override {
    const std::scoped_lock lock(mutex_);
    const auto node = Find(path);
    if (!node) return Missing("set time of", path);
    node->modified_at = time;
    return OkStatus();
  }
  Status MakeSymlink(const std::string& target, const std::string& link) override {
    const std::scoped_lock lock(mutex_);
    ASSIGN_OR_RETURN(const auto node, Add(link, FileKind::kSymlink, 0777));
    node->data = target;
    return OkStatus();
  }
  Status SyncDirectory(const std::string& directory) override {
    const std::scoped_lock lock(mutex_);
    const auto node = Find(directory);
    if (!node) return Missing("fsync", directory);
    node->synced_entries = node->entries;
    return OkStatus();
  }
  StatusOr<std::uint64_t> FreeSpace(const std::string&) override { return free_bytes; }

 private:
  struct Node {
    FileKind kind = FileKind::kFile;
    std::uint32_t mode = 0;
    absl::Time modified_at;
    std::string data, synced_data;
    std::map<std::string, std::shared_ptr<Node>> entries, synced_entries;
  };

  class MemoryFile final : public File {
   public:
    MemoryFile(MemoryFs& fs, std::string path, std::shared_ptr<Node> node)
        : fs_(fs), path_(std::move(path)), node_(std::move(node)) {}
    const std::string& path() const override { return path_; }
    StatusOr<std::size_t> ReadAt(std::uint64_t offset, MutableByteSpan out) const override {
      const std::scoped_lock lock(fs_.mutex_);
      if (offset >= node_->data.size()) return 0;
      return node_->data.copy(reinterpret_cast<char*>(out.data()), out.size(), offset);
    }
    Status WriteAt(std::uint64_t offset, ByteSpan bytes) override {
      const std::scoped_lock lock(fs_.mutex_);
      if (node_->data.size() < offset + bytes.size()) node_->data.resize(offset + bytes.size());
      node_->data.replace(offset, bytes.size(), TextOf(bytes));
      return OkStatus();
    }
    StatusOr<std::uint64_t> Size() const override {
      const std::scoped_lock lock(fs_.mutex_);
      return node_->data.size();
    }
    Status Truncate(std::uint64_t size) override {
      const std::scoped_lock lock(fs_.mutex_);
      node_->data.resize(size);
      return OkStatus();
    }
    Status Reserve(std::uint64_t) override { return OkStatus(); }
    void WriteDirectly() override {}
    void StartWriteback(std::uint64_t, std::uint64_t) override {}
    Status Sync() override {
      const std::scoped_lock lock(fs_.mutex_);
      node_->synced_data = node_->data;
      return OkStatus();
    }
    Status TryLock() override { return OkStatus(); }

   private:
    MemoryFs& fs_;
    std::string path_;
    std::shared_ptr<Node> node_;
  };

  static Status Missing(std::string_view call, const std::string& path) {
    return NotFoundError("{} {}: no such file or directory", call, path);
  }
  static FileInfo InfoOf(const Node& node) {
    return {.kind = node.kind,
            .size_bytes = node.data.size(),
            .mode = node.mode,
            .modified_at = node.modified_at};
  }

  std::shared_ptr<Node> Find(const std::string& path) const {
    std::shared_ptr<Node> node = root_;
    for (std::string_view rest = path; !rest.empty();) {
      const auto slash = rest.find('/');
      const std::string part(rest.substr(0, slash));
      rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
      if (part.empty()) continue;
      const auto it = node->entries.find(part);
      if (it == node->entries.end()) return nullptr;
      node = it->second;
    }
    return node;
  }

  StatusOr<std::shared_ptr<Node>> Add(const std::string& path, FileKind kind, std::uint32_t mode) {
    const auto parent = Find(DirName(path));
    if (!parent || parent->kind != FileKind::kDirectory) return Missing("create", path);
    if (parent->entries.contains(BaseName(path)))
      return AlreadyExistsError("create {}: exists", path);
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->mode = mode;
    parent->entries[BaseName(path)] = node;
    return node;
  }

  StatusOr<std::unique_ptr<File>> CreateLocked(const std::string& path, std::uint32_t mode) {
    ASSIGN_OR_RETURN(const auto node, Add(path, FileKind::kFile, mode));
    return std::make_unique<MemoryFile>(*this, path, node);
  }

  StatusOr<std::unique_ptr<File>> Open(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    const auto node = Find(path);
    if (!node) return Missing("open", path);
    return std::make_unique<MemoryFile>(*this, path, node);
  }

  Status Move(const std::string& from, const std::string& to, bool replace) {
    const std::scoped_lock lock(mutex_);
    const auto node = Find(from), parent = Find(DirName(to));
    if (!node || !parent) return Missing("rename", from);
    if (!replace && parent->entries.contains(BaseName(to)))
      return AlreadyExistsError("rename {} to {}: exists", from, to);
    Find(DirName(from))->entries.erase(BaseName(from));
    parent->entries[BaseName(to)] = node;
    return OkStatus();
  }

  Status Remove(const std::string& path, FileKind kind) {
    const std::scoped_lock lock(mutex_);
    const auto node = Find(path);
    if (!node) return Missing("remove", path);
    if ((node->kind == FileKind::kDirectory) != (kind == FileKind::kDirectory)) {
      return FailedPreconditionError("remove {}: wrong kind", path);
    }
    if (!node->entries.empty()) return AlreadyExistsError("remove {}: not empty", path);
    Find(DirName(path))->entries.erase(BaseName(path));
    return OkStatus();
  }

  static std::shared_ptr<Node> Survivor(const Node& node, Loss loss) {
    auto out = std::make_shared<Node>();
    out->kind = node.kind;
    out->mode = node.mode;
    out->modified_at = node.modified_at;
    out->data = out->synced_data =
        loss == Loss::kNothing || node.kind == FileKind::kSymlink ? node.data : node.synced_data;
    for (const auto& [name, child] : loss == Loss::kUnsynced ? node.synced_entries : node.entries) {
      out->entries[name] = Survivor(*child, loss);
    }
    out->synced_entries = out->entries;
    return out;
  }

  static void SyncTree(Node& node) {
    node.synced_data = node.data;
    node.synced_entries = node.entries;
    for (const auto& [name, child] : node.entries) SyncTree(*child);
  }

  mutable std::mutex mutex_;
  std::shared_ptr<Node> root_;
};

}  // namespace holdfast::testing
