// What the command line and the server say to each other about snapshots: POST /db/snapshot and its answers, as JSON.
// The shapes are RKE2's, so that its own command line can talk to our server and its users' scripts can read our lists.
// Ours on top: "compression" in the request; "s3": false, for no S3 although the server has it on; "s3Retention" for the
// server's own S3; "sse", "sseKmsKeyId", "storageClass" and "bandwidthLimit" in "s3"; "considered" and "silentServers" in
// answers; and progress lines if the client accepts application/x-ndjson:
//   {"progress":{"done":1048576,"total":20975648}}    any number of them; in an upload with "step":"upload".
//                                                      The last one comes again every 10 s while nothing moves, or zeros
//   {"result":...} or {"error":...}                    the last line: what would have been the whole answer
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "store/s3/s3_options.h"

namespace holdfast {

inline constexpr char kJsonType[] = "application/json", kLinesType[] = "application/x-ndjson";

// How the message begins if S3 cannot be used as it is set; RKE2's words.
inline constexpr char kS3ClientFailed[] = "failed to initialize S3 client";

struct SnapshotRequest {
  std::string operation;           // save, list, prune, delete
  std::vector<std::string> names;  // base name of save and prune, file names of delete
  // What is not set is the server's own setting.
  std::optional<std::string> directory;
  std::optional<bool> compress;
  std::optional<std::string> compression;  // none, zip, zstd; wins over compress
  std::optional<std::int64_t> retention;
  // S3 as the caller wants it, whole. Holds secrets.
  std::optional<S3Options> s3;
  std::optional<std::int64_t> s3_retention;  // of that, or of the server's own
  bool no_s3 = false;                        // not even if the server has it on
  bool local = false;                        // list: without those of the cluster's other servers

  std::string Encode() const;
  // kInvalidArgument with what is wrong; never with a value of "s3".
  static StatusOr<SnapshotRequest> Decode(std::string_view json);
};

// Answer to save, prune and delete. A name stands there twice if it was made (or deleted) in both places.
struct SnapshotResult {
  std::vector<std::string> created, deleted;
  // Of a prune: what it counted where, so that "nothing to do" can be told from "looked at the wrong name".
  struct Considered {
    std::string place;  // "file:///...", "s3://..."
    std::int64_t count = 0, limit = 0;
  };
  std::vector<Considered> considered = {};

  std::string Encode() const;
  static StatusOr<SnapshotResult> Decode(std::string_view json);
};

// One row of a list.
struct SnapshotRecord {
  std::string name;
  std::string node_name;
  std::string location;  // "file:///...", "s3://BUCKET/KEY"
  std::uint64_t bytes = 0;
  absl::Time created_at;
  std::string token_hash;
  std::string cluster_id;  // of a copy in S3, if it says
  std::map<std::string, std::string> metadata;
  std::string error;
  std::optional<S3Options> s3;  // of a copy in S3: where it is; without secrets
};

struct SnapshotListing {
  std::vector<SnapshotRecord> records;
  // Servers of the cluster that did not tell, so that theirs are not among the records.
  struct SilentServer {
    std::string node, why;
  };
  std::vector<SilentServer> silent = {};
};

// Answer to list: a Kubernetes List of ETCDSnapshotFile, 4 spaces of indent and a newline, as `etcd-snapshot ls -o json`
// prints it. `label_domain` is the distribution's ("etcd.rke2.cattle.io"); any domain is read.
// Ours on top: "silentServers":[{"nodeName":...,"message":...}] beside the items, only if there are any.
std::string EncodeSnapshotList(const SnapshotListing& list, std::string_view label_domain);
StatusOr<SnapshotListing> DecodeSnapshotList(std::string_view json);

// An error as a Kubernetes Status object, and the HTTP code that goes with it. Hint and code survive the way to our client.
int HttpCodeOf(const Status& status);
std::string EncodeError(const Status& status);
// Any answer that is no success: a Status object or whatever stands there.
Status DecodeError(int http_code, std::string_view body);

// The lines of a streamed answer.
struct Progress {
  std::uint64_t done = 0, total = 0;
  std::string step = "";  // "upload", after the snapshot is saved in the directory; else empty
};
std::string EncodeProgressLine(const Progress& progress);
std::string EncodeResultLine(std::string_view result_json);
std::string EncodeErrorLine(const Status& status);
// Progress, or the result's JSON, or (as the status of StatusOr) the error.
StatusOr<std::variant<Progress, std::string>> DecodeLine(std::string_view line);

}  // namespace holdfast
