#include "artifact/naming.h"

#include <algorithm>

#include "base/path.h"
#include "base/text.h"

namespace holdfast {
namespace {

bool AllDigits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// Leaves room for node, time and suffixes in the kernel's 255.
constexpr std::size_t kNameBytesMax = 200;

}  // namespace

std::string SnapshotFileName(std::string_view base, std::string_view node,
                             std::int64_t unix_seconds, Compression compression) {
  return fmt::format("{}-{}-{}{}", base, node, unix_seconds, CompressionSuffix(compression));
}

std::optional<absl::Time> CreationTimeInName(std::string_view file_name) {
  const std::string_view name = WithoutCompressionSuffix(file_name);
  const auto dash = name.rfind('-');
  if (dash == std::string_view::npos || !AllDigits(name.substr(dash + 1))) return std::nullopt;
  const auto seconds = ParseInt(name.substr(dash + 1));
  if (!seconds) return std::nullopt;
  return absl::FromUnixSeconds(*seconds);
}

bool IsNamedFor(std::string_view file_name, std::string_view base, std::string_view node) {
  const std::string prefix = fmt::format("{}-{}-", base, node);
  std::string_view name = WithoutCompressionSuffix(file_name);
  return name.starts_with(prefix) && AllDigits(name.substr(prefix.size()));
}

bool IsNamedForNode(std::string_view file_name, std::string_view node) {
  std::string_view name = WithoutCompressionSuffix(file_name);
  const auto dash = name.rfind('-');
  if (dash == std::string_view::npos || !AllDigits(name.substr(dash + 1))) return false;
  const std::string before = fmt::format("-{}", node);
  name = name.substr(0, dash);
  return name.ends_with(before) && name.size() > before.size();
}

Status CheckBaseName(std::string_view base) {
  if (base.empty()) return InvalidArgumentError("snapshot name must not be empty");
  if (!IsPlainFileName(base) || base.starts_with('.') || HasControl(base)) {
    return InvalidArgumentError(
        "snapshot name \"{}\" must not contain path separators or control characters or start with "
        "a dot",
        base);
  }
  if (base.size() > kNameBytesMax) {
    return InvalidArgumentError("snapshot name of {} bytes is too long, at most {} are possible",
                                base.size(), kNameBytesMax);
  }
  return OkStatus();
}

Status CheckFileName(std::string_view name) {
  if (!IsPlainFileName(name) || HasControl(name)) {
    return WithHint(
        InvalidArgumentError(
            "\"{}\" is not the name of a snapshot file: path separators are not allowed", name),
        "Give a name as `etcd-snapshot ls` shows it.");
  }
  return OkStatus();
}

}  // namespace holdfast
