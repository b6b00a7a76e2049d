#include "identity/certificates.h"

#include <array>

#include "base/log.h"
#include "base/path.h"
#include "os/atomic_file.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kPemBytesMax = 1 * kMiB;

struct Ca {
  const char* stem;  // below tls/
  const char* name;  // of a new one; "%" is replaced by the distribution
};
constexpr std::array<Ca, 5> kCas = {{{"client-ca", "%-client-ca"},
                                     {"server-ca", "%-server-ca"},
                                     {"request-header-ca", "%-request-header-ca"},
                                     {"etcd/server-ca", "etcd-server-ca"},
                                     {"etcd/peer-ca", "etcd-peer-ca"}}};

struct Leaf {
  const char* stem;
  const char* ca;
  const char* common_name;
  bool server, client;
};
constexpr std::array<Leaf, 4> kLeaves = {
    {{"supervisor", "server-ca", "supervisor", true, false},
     {"etcd/server-client", "etcd/server-ca", "etcd-server", true, true},
     {"etcd/peer-server-client", "etcd/peer-ca", "etcd-peer", true, true},
     {"etcd/client", "etcd/server-ca", "etcd-client", false, true}}};

std::string CommonName(std::string_view pattern, const CertificateOptions& options) {
  std::string name(pattern);
  if (name.starts_with('%')) name.replace(0, 1, options.distribution);
  return fmt::format("{}@{}", name, absl::ToUnixSeconds(options.now));
}

Status WritePair(FileSystem& fs, const std::string& stem, const KeyPair& pair) {
  // The key first: a certificate without key is the worse half to be left with.
  RETURN_IF_ERROR(WriteFileAtomically(fs, stem + ".key", pair.key_pem.reveal(), 0600));
  return WriteFileAtomically(fs, stem + ".crt", pair.certificate_pem, 0644);
}

Status EnsureCa(FileSystem& fs, const std::string& stem, const std::string& common_name,
                const CertificateOptions& options) {
  ASSIGN_OR_RETURN(const bool has_certificate, Exists(fs, stem + ".crt"));
  ASSIGN_OR_RETURN(const bool has_key, Exists(fs, stem + ".key"));
  if (!has_certificate && (!has_key || options.replace_lone_keys)) {
    ASSIGN_OR_RETURN(const KeyPair pair, MakeCa({.common_name = common_name, .now = options.now}));
    return WritePair(fs, stem, pair);
  }
  if (has_certificate != has_key) {
    return WithHint(FailedPreconditionError("{}.{} is there, but {}.{} is not", stem,
                                            has_key ? "key" : "crt", stem, has_key ? "crt" : "key"),
                    "Put it back from a copy; or remove both, so that they are written again from "
                    "the datastore.");
  }
  ASSIGN_OR_RETURN(const KeyPair pair, ReadKeyPair(fs, stem));
  if (!KeyMatches(pair))
    return FailedPreconditionError("{}.key does not belong to {}.crt", stem, stem);
  return OkStatus();
}

}  // namespace

StatusOr<KeyPair> ReadKeyPair(FileSystem& fs, const std::string& stem) {
  KeyPair pair;
  ASSIGN_OR_RETURN(pair.certificate_pem, ReadFile(fs, stem + ".crt", kPemBytesMax));
  ASSIGN_OR_RETURN(std::string key, ReadFile(fs, stem + ".key", kPemBytesMax));
  pair.key_pem = Secret(std::move(key));
  return pair;
}

StatusOr<bool> HasCas(FileSystem& fs, const DataLayout& layout) {
  for (const Ca& ca : kCas) {
    for (const char* suffix : {".crt", ".key"}) {
      ASSIGN_OR_RETURN(const bool exists,
                       Exists(fs, JoinPath(layout.tls(), std::string(ca.stem) + suffix)));
      if (!exists) return false;
    }
  }
  return true;
}

Status EnsureCas(FileSystem& fs, const DataLayout& layout, const CertificateOptions& options) {
  RETURN_IF_ERROR(MakeDirectories(fs, layout.etcd_tls(), 0700));
  for (const Ca& ca : kCas) {
    RETURN_IF_ERROR(
        EnsureCa(fs, JoinPath(layout.tls(), ca.stem), CommonName(ca.name, options), options));
  }
  const std::string service_key = JoinPath(layout.tls(), "service.key");
  ASSIGN_OR_RETURN(const bool has_service_key, Exists(fs, service_key));
  if (has_service_key) return OkStatus();
  ASSIGN_OR_RETURN(const Secret key, MakeRsaKey());
  return WriteFileAtomically(fs, service_key, key.reveal(), 0600);
}

StatusOr<std::string> RetireLeaves(FileSystem& fs, const DataLayout& layout, absl::Time now) {
  std::string backup;
  for (std::int64_t second = absl::ToUnixSeconds(now); backup.empty(); ++second) {
    const std::string candidate = fmt::format("{}-{}", layout.tls(), second);
    ASSIGN_OR_RETURN(const bool taken, Exists(fs, candidate));
    if (!taken) backup = candidate;
  }
  RETURN_IF_ERROR(CopyTree(fs, layout.tls(), backup));
  RETURN_IF_ERROR(fs.SyncDirectory(layout.server()));
  for (const Leaf& leaf : kLeaves) {
    for (const char* suffix : {".crt", ".key"}) {
      const Status removed = fs.RemoveFile(JoinPath(layout.tls(), std::string(leaf.stem) + suffix));
      if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
    }
  }
  return backup;
}

Status EnsureLeaves(FileSystem& fs, const DataLayout& layout, const CertificateOptions& options) {
  std::vector<std::string> sans = {"127.0.0.1", "::1", "localhost"};
  sans.insert(sans.end(), options.sans.begin(), options.sans.end());
  for (const Leaf& leaf : kLeaves) {
    ASSIGN_OR_RETURN(const KeyPair ca, ReadKeyPair(fs, JoinPath(layout.tls(), leaf.ca)));
    const LeafOptions wanted{.common_name = leaf.common_name,
                             .sans = leaf.server ? sans : std::vector<std::string>(),
                             .server_auth = leaf.server,
                             .client_auth = leaf.client,
                             .now = options.now};
    const std::string stem = JoinPath(layout.tls(), leaf.stem);
    if (const auto pair = ReadKeyPair(fs, stem); pair.ok()) {
      const std::string reason = RenewalReason(*pair, ca.certificate_pem, wanted);
      if (reason.empty()) continue;
      LogInfo("making {}.crt anew: {}", stem, reason);
    } else if (!absl::IsNotFound(pair.status())) {
      return pair.status();
    }
    ASSIGN_OR_RETURN(const KeyPair made, MakeLeaf(ca, wanted));
    RETURN_IF_ERROR(WritePair(fs, stem, made));
  }
  return OkStatus();
}

}  // namespace holdfast
