#include "protocol/snapshot_api.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace holdfast {
namespace {

// Keeps the order in which keys were added.
using Json = nlohmann::ordered_json;

constexpr char kTokenHash[] = "snapshot-token-hash", kClusterId[] = "snapshot-cluster-id",
               kSilentServers[] = "silentServers";

Json Parse(std::string_view text) { return Json::parse(text, nullptr, /*allow_exceptions=*/false); }

// Text that may hold any bytes, as valid JSON.
std::string Dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string TextAt(const Json& json, const char* key) {
  const auto it = json.is_object() ? json.find(key) : json.end();
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::vector<std::string> TextsAt(const Json& json, const char* key) {
  std::vector<std::string> out;
  const auto it = json.find(key);
  if (it == json.end() || !it->is_array()) return out;
  for (const Json& item : *it) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}

std::int64_t IntegerAt(const Json& json, const char* key) {
  const auto it = json.is_object() ? json.find(key) : json.end();
  return it != json.end() && it->is_number_integer() ? it->get<std::int64_t>() : 0;
}

// Resource names allow little: RKE2 puts "_" for the rest.
std::string ResourceName(const SnapshotRecord& record) {
  std::string out = (record.s3 ? "s3-" : "local-") + record.name;
  for (char& c : out) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.' || c == '_';
    if (!fine) c = '_';
  }
  return out;
}

// --- S3 settings, under RKE2's names ---

// Reads a field of the "s3" object if it is there; remembers the first that is of the wrong type, without its value.
class S3Reader {
 public:
  explicit S3Reader(const Json& json) : json_(json) {}

  void Text(const char* key, std::string& out) {
    if (const Json* value = Find(key, &Json::is_string)) out = value->get<std::string>();
  }
  void Text(const char* key, Secret& out) {
    if (const Json* value = Find(key, &Json::is_string)) out = Secret(value->get<std::string>());
  }
  void Bool(const char* key, bool& out) {
    if (const Json* value = Find(key, &Json::is_boolean)) out = value->get<bool>();
  }
  void Count(const char* key, std::uint64_t& out) {
    if (const Json* value = Find(key, &Json::is_number_unsigned)) out = value->get<std::uint64_t>();
  }
  void Count(const char* key, std::optional<std::int64_t>& out) {
    if (const Json* value = Find(key, &Json::is_number_integer)) out = value->get<std::int64_t>();
  }
  const Status& status() const { return status_; }

 private:
  const Json* Find(const char* key, bool (Json::*is)() const noexcept) {
    const auto it = json_.find(key);
    if (it == json_.end() || it->is_null()) return nullptr;
    if (((*it).*is)()) return &*it;
    if (status_.ok()) status_ = InvalidArgumentError("\"{}\" is of the wrong type", key);
    return nullptr;
  }

  const Json& json_;
  Status status_;
};

Status ReadS3(const Json& json, SnapshotRequest& out) {
  S3Options o;
  S3Reader reader(json);
  std::string lookup, timeout, config_secret;
  reader.Text("endpoint", o.endpoint);
  reader.Text("endpointCA", o.endpoint_ca);
  reader.Bool("skipSSLVerify", o.skip_ssl_verify);
  reader.Bool("insecure", o.insecure);
  reader.Text("accessKey", o.access_key);
  reader.Text("secretKey", o.secret_key);
  reader.Text("sessionToken", o.session_token);
  reader.Text("bucket", o.bucket);
  reader.Text("bucketLookup", lookup);
  reader.Text("region", o.region);
  reader.Text("folder", o.folder);
  reader.Text("proxy", o.proxy);
  reader.Text("timeout", timeout);
  reader.Text("sse", o.server_side_encryption);
  reader.Text("sseKmsKeyId", o.kms_key_id);
  reader.Text("storageClass", o.storage_class);
  reader.Count("bandwidthLimit", o.bytes_per_second_max);
  reader.Count("retention", out.s3_retention);
  reader.Text("configSecret", config_secret);
  RETURN_IF_ERROR(reader.status());
  if (o.bytes_per_second_max > std::numeric_limits<std::int64_t>::max())
    return InvalidArgumentError("bandwidthLimit {} is too large", o.bytes_per_second_max);
  if (o.endpoint.empty()) o.endpoint = kS3EndpointDefault;
  if (o.region.empty()) o.region = kS3RegionDefault;
  const auto parsed_lookup = ParseBucketLookup(lookup);
  if (!parsed_lookup)
    return InvalidArgumentError("bucketLookup \"{}\" is not one of auto, dns, path", lookup);
  o.lookup = *parsed_lookup;
  if (!timeout.empty()) {
    ASSIGN_OR_RETURN(o.timeout, ParseGoDuration(timeout), "timeout");
    if (o.timeout <= absl::ZeroDuration())
      return InvalidArgumentError("etcd-s3-timeout must be greater than 0s");
  }
  if (o.bucket.empty() && !config_secret.empty())
    return InvalidArgumentError("secrets of Kubernetes cannot be read here");
  if (o.bucket.empty()) return InvalidArgumentError("s3 bucket name was not set");
  out.s3 = std::move(o);
  return OkStatus();
}

Json S3Json(const S3Options& o, const std::optional<std::int64_t>& retention) {
  Json json = {{"accessKey", o.access_key},
               {"bucket", o.bucket},
               {"bucketLookup", BucketLookupName(o.lookup)},
               {"endpoint", o.endpoint},
               {"endpointCA", o.endpoint_ca},
               {"folder", o.folder},
               {"proxy", o.proxy},
               {"region", o.region},
               {"secretKey", o.secret_key.reveal()},
               {"sessionToken", o.session_token.reveal()},
               {"insecure", o.insecure},
               {"skipSSLVerify", o.skip_ssl_verify},
               {"timeout", FormatGoDuration(o.timeout)}};
  if (retention) json["retention"] = *retention;
  if (!o.server_side_encryption.empty()) json["sse"] = o.server_side_encryption;
  if (!o.kms_key_id.empty()) json["sseKmsKeyId"] = o.kms_key_id;
  if (!o.storage_class.empty()) json["storageClass"] = o.storage_class;
  if (o.bytes_per_second_max > 0) json["bandwidthLimit"] = o.bytes_per_second_max;
  return json;
}

// Where a listed object is: what RKE2 shows of the settings.
Json S3PlaceJson(const S3Options& o) {
  Json json = {{"endpoint", o.endpoint}};
  if (!o.endpoint_ca.empty()) json["endpointCA"] = o.endpoint_ca;
  if (o.skip_ssl_verify) json["skipSSLVerify"] = true;
  json["bucket"] = o.bucket;
  if (o.lookup != BucketLookup::kAuto) json["bucketLookup"] = BucketLookupName(o.lookup);
  json["region"] = o.region;
  if (!o.folder.empty()) json["prefix"] = o.folder;
  if (o.insecure) json["insecure"] = true;
  return json;
}

S3Options S3PlaceOf(const Json& json) {
  S3Options o;
  S3Reader reader(json);
  std::string lookup;
  reader.Text("endpoint", o.endpoint);
  reader.Text("endpointCA", o.endpoint_ca);
  reader.Bool("skipSSLVerify", o.skip_ssl_verify);
  reader.Text("bucket", o.bucket);
  reader.Text("bucketLookup", lookup);
  reader.Text("region", o.region);
  reader.Text("prefix", o.folder);
  reader.Bool("insecure", o.insecure);
  o.lookup = ParseBucketLookup(lookup).value_or(BucketLookup::kAuto);
  return o;
}

struct CodeRow {
  StatusCode code;
  int http;
  const char* reason;  // Kubernetes' word
};
constexpr CodeRow kCodes[] = {{StatusCode::kInvalidArgument, 400, "BadRequest"},
                              {StatusCode::kUnauthenticated, 401, "Unauthorized"},
                              {StatusCode::kPermissionDenied, 403, "Forbidden"},
                              {StatusCode::kNotFound, 404, "NotFound"},
                              {StatusCode::kAlreadyExists, 409, "AlreadyExists"},
                              {StatusCode::kAborted, 409, "Conflict"},
                              {StatusCode::kUnavailable, 503, "ServiceUnavailable"},
                              {StatusCode::kDeadlineExceeded, 504, "Timeout"},
                              {StatusCode::kResourceExhausted, 507, "InsufficientStorage"},
                              {StatusCode::kFailedPrecondition, 500, "InternalError"},
                              {StatusCode::kDataLoss, 500, "InternalError"},
                              {StatusCode::kCancelled, 500, "InternalError"},
                              {StatusCode::kUnimplemented, 501, "NotImplemented"},
                              {StatusCode::kInternal, 500, "InternalError"}};

const CodeRow& RowOf(StatusCode code) {
  for (const CodeRow& row : kCodes) {
    if (row.code == code) return row;
  }
  return kCodes[std::size(kCodes) - 1];
}

Json ErrorJson(const Status& status) {
  const CodeRow& row = RowOf(status.code());
  // "causes" is where Kubernetes keeps details; ours carry the exact code and the hint.
  Json cause = {{"reason", CodeWord(status.code())}};
  if (const std::string hint = HintOf(status); !hint.empty()) cause["message"] = hint;
  return {{"kind", "Status"},
          {"apiVersion", "v1"},
          {"metadata", Json::object()},
          {"status", "Failure"},
          {"message", MessageOf(status)},
          {"reason", row.reason},
          {"details", {{"causes", Json::array({cause})}}},
          {"code", row.http}};
}

Status ErrorOf(const Json& json, int http_code) {
  StatusCode code = StatusCode::kInternal;
  for (const CodeRow& row : kCodes) {
    if (row.http == http_code) {
      code = row.code;
      break;
    }
  }
  std::string hint;
  if (const auto details = json.find("details"); details != json.end() && details->is_object()) {
    const auto causes = details->find("causes");
    if (causes != details->end() && causes->is_array() && !causes->empty()) {
      hint = TextAt((*causes)[0], "message");
      for (const CodeRow& row : kCodes) {
        if (CodeWord(row.code) == TextAt((*causes)[0], "reason")) code = row.code;
      }
    }
  }
  const Status status = MakeStatus(code, TextAt(json, "message"));
  return hint.empty() ? status : WithHint(status, hint);
}

}  // namespace

std::string SnapshotRequest::Encode() const {
  Json json = {{"operation", operation}, {"name", names}};
  if (directory) json["dir"] = *directory;
  if (compress) json["compress"] = *compress;
  if (compression) json["compression"] = *compression;
  if (retention) json["retention"] = *retention;
  if (s3) {
    json["s3"] = S3Json(*s3, s3_retention);
  } else if (s3_retention) {
    json["s3Retention"] = *s3_retention;
  }
  if (no_s3) json["s3"] = false;
  if (local) json["local"] = true;
  return Dump(json);
}

StatusOr<SnapshotRequest> SnapshotRequest::Decode(std::string_view text) {
  const Json json = Parse(text);
  if (!json.is_object()) return InvalidArgumentError("the request is not a JSON object");
  SnapshotRequest out{.operation = TextAt(json, "operation"), .names = TextsAt(json, "name")};
  const auto present = [&](const char* key) { return json.contains(key) && !json[key].is_null(); };
  if (present("dir")) {
    if (!json["dir"].is_string()) return InvalidArgumentError("\"dir\" is not a string");
    if (std::string dir = json["dir"].get<std::string>(); !dir.empty())
      out.directory = std::move(dir);
  }
  if (present("compress")) {
    if (!json["compress"].is_boolean())
      return InvalidArgumentError("\"compress\" is neither true nor false");
    out.compress = json["compress"].get<bool>();
  }
  if (present("compression")) {
    if (!json["compression"].is_string())
      return InvalidArgumentError("\"compression\" is not a string");
    out.compression = json["compression"].get<std::string>();
  }
  for (auto [key, limit] :
       {std::pair("retention", &out.retention), std::pair("s3Retention", &out.s3_retention)}) {
    if (!present(key)) continue;
    if (!json[key].is_number_integer())
      return InvalidArgumentError("\"{}\" is not a whole number", key);
    *limit = json[key].get<std::int64_t>();
  }
  if (present("local")) {
    if (!json["local"].is_boolean())
      return InvalidArgumentError("\"local\" is neither true nor false");
    out.local = json["local"].get<bool>();
  }
  if (present("s3") && json["s3"].is_boolean() && !json["s3"].get<bool>()) {
    out.no_s3 = true;
  } else if (present("s3")) {
    if (!json["s3"].is_object()) return InvalidArgumentError("\"s3\" is not an object");
    RETURN_IF_ERROR(ReadS3(json["s3"], out), "{}", kS3ClientFailed);
  }
  return out;
}

std::string SnapshotResult::Encode() const {
  Json json = Json::object();
  if (!created.empty()) json["created"] = created;
  if (!deleted.empty()) json["deleted"] = deleted;
  for (const Considered& c : considered) {
    json["considered"].push_back({{"place", c.place}, {"count", c.count}, {"limit", c.limit}});
  }
  return Dump(json);
}

StatusOr<SnapshotResult> SnapshotResult::Decode(std::string_view text) {
  const Json json = Parse(text);
  if (!json.is_object())
    return InternalError("the server's answer is not a JSON object: {}", text.substr(0, 200));
  SnapshotResult out{.created = TextsAt(json, "created"), .deleted = TextsAt(json, "deleted")};
  if (const auto it = json.find("considered"); it != json.end() && it->is_array()) {
    for (const Json& item : *it) {
      out.considered.push_back({.place = TextAt(item, "place"),
                                .count = IntegerAt(item, "count"),
                                .limit = IntegerAt(item, "limit")});
    }
  }
  return out;
}

std::string EncodeSnapshotList(const SnapshotListing& listing, std::string_view label_domain) {
  Json items = Json::array();
  for (const SnapshotRecord& r : listing.records) {
    Json metadata = {
        {"name", ResourceName(r)},
        {"labels",
         {{fmt::format("{}/snapshot-storage-node", label_domain), r.s3 ? "s3" : r.node_name}}}};
    if (!r.token_hash.empty())
      metadata["annotations"][fmt::format("{}/{}", label_domain, kTokenHash)] = r.token_hash;
    if (!r.cluster_id.empty())
      metadata["annotations"][fmt::format("{}/{}", label_domain, kClusterId)] = r.cluster_id;
    Json spec = {{"snapshotName", r.name}, {"nodeName", r.node_name}, {"location", r.location}};
    if (!r.metadata.empty()) spec["metadata"] = r.metadata;
    if (r.s3) spec["s3"] = S3PlaceJson(*r.s3);
    Json status = {{"size", fmt::format("{}", r.bytes)},
                   {"creationTime", FormatRfc3339Utc(r.created_at)},
                   {"readyToUse", true}};
    if (!r.error.empty()) status["error"] = {{"message", r.error}};
    items.push_back({{"kind", "ETCDSnapshotFile"},
                     {"apiVersion", "k3s.cattle.io/v1"},
                     {"metadata", metadata},
                     {"spec", spec},
                     {"status", status}});
  }
  Json list = {
      {"kind", "List"}, {"apiVersion", "v1"}, {"metadata", Json::object()}, {"items", items}};
  for (const SnapshotListing::SilentServer& s : listing.silent)
    list[kSilentServers].push_back({{"nodeName", s.node}, {"message", s.why}});
  return Dump(list, 4) + "\n";
}

StatusOr<SnapshotListing> DecodeSnapshotList(std::string_view text) {
  const Json json = Parse(text);
  if (!json.is_object() || !json.contains("items") || !json["items"].is_array()) {
    return InternalError("the server's answer is no list of snapshots: {}", text.substr(0, 200));
  }
  SnapshotListing out;
  if (const auto silent = json.find(kSilentServers); silent != json.end() && silent->is_array()) {
    for (const Json& s : *silent)
      out.silent.push_back({TextAt(s, "nodeName"), TextAt(s, "message")});
  }
  for (const Json& item : json["items"]) {
    const Json spec = item.is_object() ? item.value("spec", Json::object()) : Json::object();
    const Json status = item.is_object() ? item.value("status", Json::object()) : Json::object();
    SnapshotRecord r{.name = TextAt(spec, "snapshotName"),
                     .node_name = TextAt(spec, "nodeName"),
                     .location = TextAt(spec, "location")};
    r.bytes = ParseUint(TextAt(status, "size")).value_or(0);
    r.created_at = ParseRfc3339(TextAt(status, "creationTime")).value_or(absl::UnixEpoch());
    if (const auto metadata = spec.find("metadata");
        metadata != spec.end() && metadata->is_object()) {
      for (const auto& [key, value] : metadata->items()) {
        if (value.is_string()) r.metadata[key] = value.get<std::string>();
      }
    }
    if (const auto s3 = spec.find("s3"); s3 != spec.end() && s3->is_object()) r.s3 = S3PlaceOf(*s3);
    if (const auto error = status.find("error"); error != status.end())
      r.error = TextAt(*error, "message");
    const Json item_metadata =
        item.is_object() ? item.value("metadata", Json::object()) : Json::object();
    if (const auto annotations = item_metadata.find("annotations");
        annotations != item_metadata.end() && annotations->is_object()) {
      for (const auto& [key, value] : annotations->items()) {
        if (!value.is_string()) continue;
        if (key.ends_with(std::string("/") + kTokenHash)) r.token_hash = value.get<std::string>();
        if (key.ends_with(std::string("/") + kClusterId)) r.cluster_id = value.get<std::string>();
      }
    }
    out.records.push_back(std::move(r));
  }
  return out;
}

int HttpCodeOf(const Status& status) { return RowOf(status.code()).http; }

std::string EncodeError(const Status& status) { return Dump(ErrorJson(status)) + "\n"; }

Status DecodeError(int http_code, std::string_view body) {
  const Json json = Parse(body);
  if (json.is_object() && json.contains("message")) return ErrorOf(json, http_code);
  const Status code_only = ErrorOf(Json::object(), http_code);
  const std::string_view text = Trim(body).substr(0, 200);
  return MakeStatus(code_only.code(),
                    text.empty()
                        ? fmt::format("the server answered with HTTP {}", http_code)
                        : fmt::format("the server answered with HTTP {}: {}", http_code, text));
}

std::string EncodeProgressLine(const Progress& progress) {
  Json json = {{"done", progress.done}, {"total", progress.total}};
  if (!progress.step.empty()) json["step"] = progress.step;
  return Dump({{"progress", json}}) + "\n";
}

std::string EncodeResultLine(std::string_view result_json) {
  return Dump({{"result", Parse(result_json)}}) + "\n";
}

std::string EncodeErrorLine(const Status& status) {
  return Dump({{"error", ErrorJson(status)}}) + "\n";
}

StatusOr<std::variant<Progress, std::string>> DecodeLine(std::string_view line) {
  const Json json = Parse(line);
  if (json.is_object() && json.contains("progress") && json["progress"].is_object()) {
    const Json& p = json["progress"];
    const auto number = [&](const char* key) {
      const auto it = p.find(key);
      return it != p.end() && it->is_number_unsigned() ? it->get<std::uint64_t>() : 0;
    };
    return Progress{.done = number("done"), .total = number("total"), .step = TextAt(p, "step")};
  }
  if (json.is_object() && json.contains("result")) return Dump(json["result"]);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    const auto code = json["error"].find("code");
    const bool has_code = code != json["error"].end() && code->is_number_integer();
    return ErrorOf(json["error"], has_code ? code->get<int>() : 500);
  }
  return InternalError("the server sent a line that is not understood: {}", line.substr(0, 200));
}

}  // namespace holdfast
