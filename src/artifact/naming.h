// The names of snapshot files: <base>-<node>-<unix seconds>[.zip|.zst], as RKE2 writes them.
// docs/formats/names.md has the grammar; a base or node may itself contain dashes, so a name cannot be taken apart for
// certain: what matters is kept in the manifest.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"
#include "stream/compression.h"

namespace holdfast {

std::string SnapshotFileName(std::string_view base, std::string_view node,
                             std::int64_t unix_seconds, Compression compression);

// The integer after the last dash, without compression suffix; nullopt if the name does not end so.
std::optional<absl::Time> CreationTimeInName(std::string_view file_name);

// True if the name is <base>-<node>-<digits> with an optional compression suffix, and nothing else.
bool IsNamedFor(std::string_view file_name, std::string_view base, std::string_view node);

// True if the name is <any base>-<node>-<digits> with an optional compression suffix.
bool IsNamedForNode(std::string_view file_name, std::string_view node);

// What a person may give as --name: kInvalidArgument for empty, separators, a leading dot or control characters.
Status CheckBaseName(std::string_view base);

// What a person may give as the name of a snapshot file: kInvalidArgument for anything that leaves the directory.
Status CheckFileName(std::string_view name);

}  // namespace holdfast
