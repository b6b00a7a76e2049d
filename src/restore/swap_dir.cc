#include "restore/swap_dir.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "os/atomic_file.h"

namespace holdfast {
namespace {

constexpr char kLiveName[] = "etcd", kNewPrefix[] = "etcd-new-", kOldPrefix[] = "etcd-old-",
               kMarkerName[] = "restore.json";
constexpr std::uint64_t kMarkerBytesMax = 64 * kKiB;

struct Marker {
  std::string new_name, old_name, snapshot;
  bool had_old = false, complete = false;
};

// nullopt if the directory has no marker.
StatusOr<std::optional<Marker>> ReadMarker(FileSystem& fs, const std::string& directory) {
  const auto text = ReadFile(fs, JoinPath(directory, kMarkerName), kMarkerBytesMax);
  if (absl::IsNotFound(text.status())) return std::optional<Marker>();
  if (!text.ok()) return text.status();
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const auto is = [&](const char* key, auto type) {
    return json.contains(key) && json[key].type() == type;
  };
  using Type = nlohmann::json::value_t;
  if (!json.is_object() || !is("new", Type::string) || !is("old", Type::string) ||
      !is("snapshot", Type::string) || !is("hadOld", Type::boolean) ||
      !is("complete", Type::boolean)) {
    return DataLossError("{} is damaged", JoinPath(directory, kMarkerName));
  }
  return Marker{json["new"], json["old"], json["snapshot"], json["hadOld"], json["complete"]};
}

Status RemoveMarker(FileSystem& fs, const std::string& directory) {
  const Status removed = fs.RemoveFile(JoinPath(directory, kMarkerName));
  if (absl::IsNotFound(removed)) return OkStatus();
  RETURN_IF_ERROR(removed);
  return fs.SyncDirectory(directory);
}

}  // namespace

std::string DirectorySwap::Path(const std::string& name) const { return JoinPath(db_dir_, name); }

Status DirectorySwap::WriteMarker(const std::string& directory, bool complete) const {
  const nlohmann::json json = {{"new", new_name_},
                               {"old", old_name_},
                               {"snapshot", snapshot_},
                               {"hadOld", had_old_},
                               {"complete", complete}};
  // Anything but "replace" throws if the snapshot's path is not UTF-8.
  const std::string text =
      json.dump(2, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace) + "\n";
  return WriteFileAtomically(*fs_, JoinPath(directory, kMarkerName), text, 0600);
}

StatusOr<DirectorySwap> DirectorySwap::Begin(FileSystem& fs, const std::string& db_dir,
                                             absl::Time now, const std::string& snapshot) {
  DirectorySwap swap(fs, db_dir);
  swap.snapshot_ = snapshot;
  ASSIGN_OR_RETURN(swap.had_old_, Exists(fs, swap.live()));
  for (std::int64_t second = absl::ToUnixSeconds(now);; ++second) {
    swap.new_name_ = fmt::format("{}{}", kNewPrefix, second);
    swap.old_name_ = fmt::format("{}{}", kOldPrefix, second);
    ASSIGN_OR_RETURN(const bool old_taken, Exists(fs, swap.Path(swap.old_name_)));
    if (old_taken) continue;
    const Status made = fs.MakeDirectory(swap.staging(), 0700);
    if (absl::IsAlreadyExists(made)) continue;
    RETURN_IF_ERROR(made);
    break;
  }
  swap.state_ = State::kStaged;
  RETURN_IF_ERROR(swap.WriteMarker(swap.staging(), /*complete=*/false));
  return swap;
}

DirectorySwap::DirectorySwap(DirectorySwap&& other) noexcept
    : fs_(other.fs_),
      db_dir_(std::move(other.db_dir_)),
      new_name_(std::move(other.new_name_)),
      old_name_(std::move(other.old_name_)),
      snapshot_(std::move(other.snapshot_)),
      had_old_(other.had_old_),
      state_(std::exchange(other.state_, State::kNone)) {}

DirectorySwap::~DirectorySwap() {
  // best effort: the next start removes an unfinished build
  if (state_ == State::kStaged) (void)RemoveTree(*fs_, staging());
}

Status DirectorySwap::Swap() {
  CHECK(state_ == State::kStaged);
  RETURN_IF_ERROR(WriteMarker(staging(), /*complete=*/true));
  RETURN_IF_ERROR(fs_->SyncDirectory(db_dir_));
  if (!had_old_) {
    RETURN_IF_ERROR(fs_->RenameNoReplace(staging(), live()));
  } else if (const Status exchanged = fs_->Exchange(live(), staging()); exchanged.ok()) {
    if (const Status named = fs_->RenameNoReplace(staging(), old()); !named.ok()) {
      RETURN_IF_ERROR(fs_->Exchange(live(), staging()), "undo after \"{}\"", MessageOf(named));
      return named;
    }
  } else if (exchanged.code() == StatusCode::kUnimplemented) {
    RETURN_IF_ERROR(fs_->RenameNoReplace(live(), old()));
    if (const Status placed = fs_->RenameNoReplace(staging(), live()); !placed.ok()) {
      RETURN_IF_ERROR(fs_->RenameNoReplace(old(), live()), "undo after \"{}\"", MessageOf(placed));
      return placed;
    }
  } else if (absl::IsAborted(exchanged)) {  // EBUSY
    return WithHint(
        FailedPreconditionError("{} is a mount point: the restored data cannot be put in its place",
                                live()),
        fmt::format("Nothing was changed. Mount the disk at {} instead, or unmount it, restore, "
                    "and move the data to it.",
                    db_dir_));
  } else {
    return exchanged;
  }
  state_ = State::kSwapped;
  // A marker in the old data, of an earlier restore that did not finish, stays: should they come back, it is still true.
  const Status settled = fs_->SyncDirectory(db_dir_);
  if (!settled.ok()) RETURN_IF_ERROR(RollBack(), "undo after \"{}\"", MessageOf(settled));
  return settled;
}

Status DirectorySwap::RollBack() {
  CHECK(state_ == State::kSwapped);
  // Says that the new data do not count any more; RecoverSwap() knows then which way to go.
  RETURN_IF_ERROR(WriteMarker(live(), /*complete=*/false));
  RETURN_IF_ERROR(fs_->RenameNoReplace(live(), staging()));
  if (had_old_) {
    if (const Status back = fs_->RenameNoReplace(old(), live()); !back.ok()) {
      return WithHint(Annotate(back, "put the old data back"),
                      fmt::format("The data from before are in {}: rename that directory to {}.",
                                  old(), live()));
    }
  }
  state_ = State::kDone;
  RETURN_IF_ERROR(fs_->SyncDirectory(db_dir_));
  return RemoveTree(*fs_, staging());
}

Status DirectorySwap::Finish() {
  CHECK(state_ == State::kSwapped);
  state_ = State::kDone;
  return RemoveMarker(*fs_, live());
}

namespace {

Status RemoveUnfinished(FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(const std::optional<Marker> own, ReadMarker(fs, path));
  ASSIGN_OR_RETURN(const auto content, fs.List(path));
  // A build begins with its marker: before that there is nothing, or the marker half-written.
  const bool barely_begun =
      content.empty() || (content.size() == 1 && content[0].name.starts_with(kMarkerName));
  if (!own && !barely_begun) {
    LogWarn("{} is not known to be the leftover of a restore; it is left alone", path);
    return OkStatus();
  }
  RETURN_IF_ERROR(RemoveTree(fs, path));
  LogInfo("removed {}, left unfinished by an interrupted restore", path);
  return OkStatus();
}

Status EmptyStartError(const std::string& live, const std::vector<std::string>& unfinished,
                       const std::vector<std::string>& old) {
  const Status error =
      FailedPreconditionError("there is no {}, but {}: starting now would begin an empty cluster",
                              live, Join(old.empty() ? unfinished : old, ", "));
  if (old.empty()) {
    return WithHint(error,
                    "A restore was interrupted: run it again, or remove that directory to start "
                    "with an empty cluster.");
  }
  return WithHint(error,
                  fmt::format("Put the data back with `mv {} {}`, or restore a snapshot with "
                              "--cluster-reset --cluster-reset-restore-path.",
                              old.back(), live));
}

}  // namespace

StatusOr<std::optional<InterruptedRestore>> RecoverSwap(FileSystem& fs, const std::string& db_dir,
                                                        bool starting_empty_is_fine) {
  const auto entries = fs.List(db_dir);
  if (absl::IsNotFound(entries.status())) return std::optional<InterruptedRestore>();
  if (!entries.ok()) return entries.status();
  std::vector<std::string> staged, old;
  bool has_live = false;
  for (const DirectoryEntry& entry : *entries) {
    has_live = has_live || entry.name == kLiveName;  // a link to another disk counts too
    if (entry.info.kind != FileKind::kDirectory) continue;
    if (entry.name.starts_with(kNewPrefix)) staged.push_back(entry.name);
    if (entry.name.starts_with(kOldPrefix)) old.push_back(JoinPath(db_dir, entry.name));
  }
  const std::string live = JoinPath(db_dir, kLiveName);

  std::optional<Marker> marker;
  if (has_live) {
    auto read = ReadMarker(fs, live);
    if (!read.ok() && starting_empty_is_fine) {
      LogWarn("{}: what is in {} will be set aside as it is", MessageOf(read.status()), live);
      read = std::optional<Marker>();
    }
    RETURN_IF_ERROR(read.status());
    marker = *std::move(read);
  }
  std::vector<std::string> incomplete;
  for (const std::string& name : staged) {
    const std::string path = JoinPath(db_dir, name);
    if (marker && marker->new_name == name) {
      // Exchanged, but not yet renamed: these are the old data.
      RETURN_IF_ERROR(fs.RenameNoReplace(path, JoinPath(db_dir, marker->old_name)));
      RETURN_IF_ERROR(fs.SyncDirectory(db_dir));
      LogWarn("an interrupted restore left the previous data in {}; they are now in {}", name,
              marker->old_name);
      continue;
    }
    ASSIGN_OR_RETURN(const std::optional<Marker> own, ReadMarker(fs, path));
    if (!has_live && own && own->new_name == name && own->complete) {
      RETURN_IF_ERROR(fs.RenameNoReplace(path, live));
      RETURN_IF_ERROR(fs.SyncDirectory(db_dir));
      LogWarn("an interrupted restore had finished its data in {}; they are now in place", name);
      has_live = true;
      marker = own;
      continue;
    }
    const std::string own_old = own ? JoinPath(db_dir, own->old_name) : std::string();
    if (!has_live && own && own->had_old &&
        std::find(old.begin(), old.end(), own_old) != old.end()) {
      RETURN_IF_ERROR(fs.RenameNoReplace(own_old, live));
      RETURN_IF_ERROR(fs.SyncDirectory(db_dir));
      LogWarn(
          "a restore was interrupted while it was undone; the data from before are back in place");
      has_live = true;
      ASSIGN_OR_RETURN(marker, ReadMarker(fs, live));
    }
    incomplete.push_back(path);
  }
  if (has_live || starting_empty_is_fine) {
    for (const std::string& path : incomplete) RETURN_IF_ERROR(RemoveUnfinished(fs, path));
  } else if (!incomplete.empty() || !old.empty()) {
    return EmptyStartError(live, incomplete, old);
  }
  if (!marker) return std::optional<InterruptedRestore>();
  return InterruptedRestore{
      .snapshot = marker->snapshot,
      .old = marker->had_old ? JoinPath(db_dir, marker->old_name) : std::string()};
}

Status FinishInterruptedRestore(FileSystem& fs, const std::string& db_dir) {
  return RemoveMarker(fs, JoinPath(db_dir, kLiveName));
}

}  // namespace holdfast
