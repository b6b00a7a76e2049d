// The bootstrap data: every CA, key and credential that makes a cluster this cluster, as one map. They lie sealed
// (seal.h) in the datastore under BootstrapKeyName() (token.h), and a joining server gets them as plain JSON over TLS.
//
//   {"ClientCA":{"Timestamp":"2025-01-02T03:04:05.678Z","Content":"<base64 of the file>"},...}\n
//
// Keys are sorted. The old form, before K3s 1.22, is {"ClientCA":"<base64 of the file>",...}.
// Source: K3s pkg/bootstrap/bootstrap.go and pkg/daemons/control/deps/deps.go (the file names).
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"

namespace holdfast {

struct BootstrapFile {
  // Secret more often than not: never for a message.
  std::string content;
  // Of the file when it was stored. The Unix epoch if that is not known: then any file on disk is newer.
  absl::Time modified_at;

  bool operator==(const BootstrapFile&) const = default;
};

// By key ("ClientCA"), in UTF-8. Keys we do not know are kept: another distribution's data survive being decoded and
// encoded.
using BootstrapData = std::map<std::string, BootstrapFile>;

// The JSON line. Byte for byte what the real one writes for the same files, if those keep their times in UTC.
std::string EncodeBootstrap(const BootstrapData& data);

// Reads both forms. kDataLoss, naming the key, if something else stands there.
StatusOr<BootstrapData> DecodeBootstrap(std::string_view json);

// Where a key's file lies, relative to the server directory.
struct BootstrapPath {
  std::string_view key, path;
};

// All keys that we store and restore, sorted. A file that does not exist is left out of the data.
std::span<const BootstrapPath> BootstrapPaths();

}  // namespace holdfast
