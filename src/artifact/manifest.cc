#include "artifact/manifest.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr char kBase[] = "holdfast-base", kNode[] = "holdfast-node",
               kCreatedAt[] = "holdfast-created-at", kCompression[] = "holdfast-compression",
               kFileBytes[] = "holdfast-file-bytes", kSnapshotBytes[] = "holdfast-snapshot-bytes",
               kSha256[] = "holdfast-sha256", kRevision[] = "holdfast-revision",
               kCompactRevision[] = "holdfast-compact-revision",
               kClusterId[] = "holdfast-cluster-id", kMemberId[] = "holdfast-member-id",
               kEtcdVersion[] = "holdfast-etcd-version", kTokenHash[] = "holdfast-token-hash",
               kLiveKeys[] = "holdfast-live-keys", kContentHash[] = "holdfast-content-hash",
               kDatastore[] = "holdfast-datastore",
               kDatastoreVersion[] = "holdfast-datastore-version",
               kBootstrap[] = "holdfast-bootstrap", kProof[] = "holdfast-proof",
               kUploadOwed[] = "holdfast-upload-owed";

constexpr std::string_view kEtcd = "etcd";
constexpr std::string_view kProofNames[] = {"none", "digest"};

std::string TakeText(std::map<std::string, std::string>& fields, const char* name) {
  const auto it = fields.find(name);
  if (it == fields.end()) return {};
  std::string value = std::move(it->second);
  fields.erase(it);
  return value;
}

template <typename T, typename Parse>
Status TakeParsed(std::map<std::string, std::string>& fields, const char* name, T& out,
                  Parse parse) {
  const std::string text = TakeText(fields, name);
  if (text.empty()) return OkStatus();
  const auto value = parse(text);
  if (!value) return DataLossError("snapshot metadata: {} is \"{}\"", name, text);
  out = *value;
  return OkStatus();
}

std::optional<Proof> ParseProof(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kProofNames); ++i) {
    if (kProofNames[i] == text) return static_cast<Proof>(i);
  }
  return std::nullopt;
}

std::optional<absl::Time> ParseTime(std::string_view text) {
  const auto time = ParseRfc3339(text);
  return time.ok() ? std::optional(*time) : std::nullopt;
}

}  // namespace

std::map<std::string, std::string> Manifest::Fields() const {
  std::map<std::string, std::string> out = other;
  if (!ours()) return out;
  out[kBase] = base;
  out[kNode] = node;
  out[kCreatedAt] = FormatRfc3339Utc(created_at);
  out[kCompression] = CompressionName(compression);
  out[kFileBytes] = fmt::format("{}", file_bytes);
  out[kSnapshotBytes] = fmt::format("{}", snapshot_bytes);
  out[kSha256] = sha256;
  if (revision) out[kRevision] = fmt::format("{}", *revision);
  if (compact_revision) out[kCompactRevision] = fmt::format("{}", *compact_revision);
  if (live_keys) out[kLiveKeys] = fmt::format("{}", *live_keys);
  if (!content_hash.empty()) out[kContentHash] = content_hash;
  if (datastore == kEtcd) {
    out[kClusterId] = cluster_id;
    out[kMemberId] = member_id;
    out[kEtcdVersion] = datastore_version;
  } else {
    out[kDatastore] = datastore;
    out[kDatastoreVersion] = datastore_version;
  }
  out[kTokenHash] = token_hash;
  if (!bootstrap.empty()) out[kBootstrap] = bootstrap;
  out[kProof] = kProofNames[static_cast<int>(proof)];
  if (!upload_owed.empty()) out[kUploadOwed] = upload_owed;
  return out;
}

std::string Manifest::Encode() const {
  // Anything but "replace" throws if a name is not UTF-8.
  const nlohmann::json json = Fields();
  return json.dump(2, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace) + "\n";
}

StatusOr<Manifest> Manifest::Decode(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return DataLossError("snapshot metadata is not a JSON object");
  std::map<std::string, std::string> fields;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string()) return DataLossError("snapshot metadata: {} is not a string", name);
    fields[name] = value.get<std::string>();
  }
  Manifest m;
  m.base = TakeText(fields, kBase);
  m.node = TakeText(fields, kNode);
  m.sha256 = TakeText(fields, kSha256);
  m.cluster_id = TakeText(fields, kClusterId);
  m.member_id = TakeText(fields, kMemberId);
  m.datastore = TakeText(fields, kDatastore);
  if (m.datastore.empty()) m.datastore = kEtcd;
  m.datastore_version = TakeText(fields, m.datastore == kEtcd ? kEtcdVersion : kDatastoreVersion);
  m.content_hash = TakeText(fields, kContentHash);
  m.bootstrap = TakeText(fields, kBootstrap);
  m.token_hash = TakeText(fields, kTokenHash);
  m.upload_owed = TakeText(fields, kUploadOwed);
  RETURN_IF_ERROR(TakeParsed(fields, kCreatedAt, m.created_at, ParseTime));
  RETURN_IF_ERROR(TakeParsed(fields, kCompression, m.compression, ParseCompression));
  RETURN_IF_ERROR(TakeParsed(fields, kFileBytes, m.file_bytes, ParseUint));
  RETURN_IF_ERROR(TakeParsed(fields, kSnapshotBytes, m.snapshot_bytes, ParseUint));
  RETURN_IF_ERROR(TakeParsed(fields, kRevision, m.revision, ParseInt));
  RETURN_IF_ERROR(TakeParsed(fields, kCompactRevision, m.compact_revision, ParseInt));
  RETURN_IF_ERROR(TakeParsed(fields, kLiveKeys, m.live_keys, ParseUint));
  RETURN_IF_ERROR(TakeParsed(fields, kProof, m.proof, ParseProof));
  m.other = std::move(fields);
  return m;
}

}  // namespace holdfast
