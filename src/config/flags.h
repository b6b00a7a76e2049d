// Every flag of the program, once: its names, environment variable, type, default and help. The command line, the
// configuration file, the environment, --help and the manual page are all made from this table.
// Names and aliases are RKE2's where it has them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

// Bits, so that a flag can name several.
enum Command : std::uint32_t {
  kServer = 1,
  kSnapshotSave = 2,
  kSnapshotList = 4,
  kSnapshotPrune = 8,
  kSnapshotDelete = 16,
  kSnapshotStatus = 32,
  kRestore = 64,
  kVersion = 128,
  kAgent = 256,
  kNodeList = 512,
  kNodeRemove = 1024,
  kTokenShow = 2048,
  kTokenRotate = 4096,
  kCertificateRotate = 8192,
  kS3Check = 16384,
  kDatastoreStatus = 32768,
  kDatastoreMigrate = 65536,
};
// The etcd-snapshot subcommands that talk to a server.
inline constexpr std::uint32_t kSnapshotCommands =
    kSnapshotSave | kSnapshotList | kSnapshotPrune | kSnapshotDelete;

// Those that ask a server about the cluster.
inline constexpr std::uint32_t kClusterCommands = kNodeList | kNodeRemove | kTokenRotate;

enum class FlagType { kText, kBool, kInteger, kDuration, kList };

struct Flag {
  std::uint32_t commands;
  std::string_view name;          // without dashes
  std::string_view aliases = "";  // separated by spaces
  char letter = 0;                // -c
  FlagType type = FlagType::kText;
  std::string_view value_name = "";    // in help: FILE
  std::string_view default_text = "";  // what holds if it is not set; empty: see the help
  std::string_view help = "";
  // Environment variable behind the distribution's prefix; empty: the name in upper case with underscores; "-": only the
  // command line sets it, neither environment nor file.
  std::string_view env = "";
  std::string_view foreign_env = "";  // a variable with a name of its own, looked at last: AWS_...
  bool secret = false;                // never shown
  bool hidden = false;                // accepted, not in help
  // Not empty: the flag is known, but what it asks for is not in this version. Using it is an error with this text.
  std::string_view missing = "";

  bool HasName(std::string_view text) const;
  std::string EnvironmentName(std::string_view prefix) const;  // empty: none
  bool OnlyOnCommandLine() const { return env == "-"; }
};

std::span<const Flag> AllFlags();

// The flag a command knows under this name or alias (without dashes), or by this letter; null if it does not.
const Flag* FindFlag(Command command, std::string_view name);
// Whether any command knows the name.
bool IsKnownFlag(std::string_view name);
// The known name that is closest to a mistyped one; empty if none is near.
std::string SuggestFlag(Command command, std::string_view name);

}  // namespace holdfast
