#include "store/s3/s3_store.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "base/path.h"
#include "base/text.h"
#include "store/s3/answers.h"
#include "store/s3/client.h"
#include "store/s3/download.h"
#include "store/s3/open_bucket.h"
#include "store/s3/parallel.h"
#include "store/s3/upload.h"

namespace holdfast {
namespace {

constexpr char kMetadataFolder[] = ".metadata/";
constexpr std::size_t kMetadataBytesMax = 1 * kMiB;
constexpr std::size_t kReadersMax = 8;
constexpr std::size_t kPagesMax = 10'000;  // of 1,000 objects

// The names by which the distributions mark their objects: x-amz-meta-<one of these>-<attribute>.
constexpr std::string_view kHeaderPrefixes[] = {"holdfast-", "rke2-", "k3s-"};

Status CheckName(const std::string& name) {
  if (IsPlainFileName(name) && !name.starts_with('.')) return OkStatus();
  return InvalidArgumentError("\"{}\" cannot be the name of a snapshot", name);
}

// Not trouble with the service that every object would have.
bool IsOfOneObject(const Status& error) {
  return absl::IsPermissionDenied(error) || absl::IsFailedPrecondition(error) ||
         absl::IsInvalidArgument(error);
}

using Attributes = std::map<std::string, std::string>;

Attributes AttributesOf(const HttpResponse& answer) {
  Attributes out;
  for (const auto& [name, value] : answer.headers) {
    std::string_view rest = name;
    if (!rest.starts_with(kS3UserMetadata)) continue;
    rest.remove_prefix(kS3UserMetadata.size());
    for (const std::string_view prefix : kHeaderPrefixes)
      if (rest.starts_with(prefix)) out.emplace(rest.substr(prefix.size()), value);
  }
  return out;
}

class S3Store final : public ObjectStore {
 public:
  explicit S3Store(std::shared_ptr<S3Client> client)
      : client_(std::move(client)), prefix_(S3Prefix(client_->options().folder)) {}

  std::string Location(const std::string& name) const override {
    return client_->Location(KeyOf(name));
  }

  StatusOr<std::unique_ptr<NewObject>> Create(const std::string& name,
                                              const CreateOptions& options) override {
    RETURN_IF_ERROR(CheckName(name));
    if (options.bytes_expected > kS3ObjectBytesMax)
      return ResourceExhaustedError("{} has {}; an upload takes {} at most", Location(name),
                                    FormatBytes(options.bytes_expected),
                                    FormatBytes(kS3ObjectBytesMax));
    const auto present = HeadS3Object(*client_, KeyOf(name), options.stop);
    if (present.ok()) return AlreadyExistsError("{} exists", Location(name));
    if (!absl::IsNotFound(present.status())) return present.status();
    ASSIGN_OR_RETURN(auto headers, S3SnapshotHeaders(client_->options(), options.attributes));
    headers["content-type"] =
        name.ends_with(".zip") ? "application/zip" : "application/octet-stream";
    return StartS3Upload(client_,
                         {.key = KeyOf(name), .headers = std::move(headers), .stop = options.stop});
  }

  StatusOr<std::unique_ptr<RandomAccess>> Open(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    return OpenS3Object(client_, KeyOf(name));
  }

  StatusOr<std::vector<ObjectInfo>> List() override {
    ASSIGN_OR_RETURN(std::vector<ObjectInfo> objects, ListFolder(prefix_));
    ASSIGN_OR_RETURN(const std::vector<ObjectInfo> metadata, ListFolder(prefix_ + kMetadataFolder));
    std::set<std::string> with_metadata;
    for (const ObjectInfo& info : metadata) with_metadata.insert(info.name);
    std::vector<char> gone(objects.size(), 0);
    RETURN_IF_ERROR(ForEachInParallel(objects.size(), kReadersMax, [&](std::size_t i) {
      const Status status = Complete(objects[i], with_metadata.contains(objects[i].name));
      gone[i] = absl::IsNotFound(status);
      return gone[i] ? OkStatus() : status;
    }));
    std::vector<ObjectInfo> out;
    for (std::size_t i = 0; i < objects.size(); ++i)
      if (!gone[i]) out.push_back(std::move(objects[i]));
    return out;
  }

  Status Remove(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    // A delete of nothing succeeds.
    const auto present = HeadS3Object(*client_, KeyOf(name));
    if (!present.ok() && !absl::IsNotFound(present.status())) return present.status();
    if (present.ok()) RETURN_IF_ERROR(Delete(KeyOf(name)));
    RETURN_IF_ERROR(Delete(MetadataKeyOf(name)));
    if (!present.ok()) return NotFoundError("{} does not exist", Location(name));
    return OkStatus();
  }

  StatusOr<Attributes> ReadAttributes(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const HttpResponse head, HeadS3Object(*client_, KeyOf(name)));
    return AttributesOf(head);
  }

  StatusOr<std::string> ReadMetadata(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(HttpResponse answer, GetMetadata(name));
    return std::move(answer.body);
  }

  Status WriteMetadata(const std::string& name, std::string_view text) override {
    RETURN_IF_ERROR(CheckName(name));
    // They belong to whom the object belongs.
    const auto object = HeadS3Object(*client_, KeyOf(name));
    if (!object.ok() && !absl::IsNotFound(object.status())) return object.status();
    ASSIGN_OR_RETURN(auto headers, S3Headers(client_->options(),
                                             object.ok() ? AttributesOf(*object) : Attributes()));
    headers["content-type"] = "application/json";
    return PutS3Object(*client_, {.key = MetadataKeyOf(name), .headers = std::move(headers)}, text);
  }

  StatusOr<std::vector<std::string>> RemoveUnfinished(const IsOurs& is_ours) override {
    std::vector<std::string> removed;
    // Without encoding-type: Ceph 16.2 encodes the keys then, and does not say so.
    S3Query query{{"uploads", ""}, {"prefix", prefix_}};
    for (std::size_t page_number = 0; page_number < kPagesMax; ++page_number) {
      ASSIGN_OR_RETURN(const HttpResponse answer, client_->Call({.query = query}));
      ASSIGN_OR_RETURN(const S3UploadsPage page, ParseListUploads(answer.body),
                       "list uploads of {}", client_->Location(prefix_));
      for (const S3UploadsPage::Upload& upload : page.uploads) {
        const std::string name = NameOf(upload.key, prefix_);
        if (name.empty() || !is_ours(name, upload.begun_at)) continue;
        const auto aborted = client_->Call(
            {.method = "DELETE", .key = upload.key, .query = {{"uploadId", upload.id}}});
        if (!aborted.ok() && !absl::IsNotFound(aborted.status())) return aborted.status();
        removed.push_back(name);
      }
      if (page.next_key.empty()) return removed;
      query["key-marker"] = page.next_key;
      query["upload-id-marker"] = page.next_id;
    }
    return removed;
  }

 private:
  std::string KeyOf(const std::string& name) const { return prefix_ + name; }
  std::string MetadataKeyOf(const std::string& name) const {
    return prefix_ + kMetadataFolder + name;
  }
  // "" if `key` is not directly in the folder, or hidden there.
  static std::string NameOf(const std::string& key, const std::string& folder) {
    if (!key.starts_with(folder)) return "";
    std::string name = key.substr(folder.size());
    return CheckName(name).ok() ? name : "";
  }

  // The objects that lie directly in `folder`, without metadata, sorted by name.
  StatusOr<std::vector<ObjectInfo>> ListFolder(const std::string& folder) {
    std::vector<ObjectInfo> out;
    S3Query query{
        {"list-type", "2"}, {"prefix", folder}, {"delimiter", "/"}, {"encoding-type", "url"}};
    for (std::size_t page_number = 0; page_number < kPagesMax; ++page_number) {
      ASSIGN_OR_RETURN(const HttpResponse answer, client_->Call({.query = query}));
      ASSIGN_OR_RETURN(const S3ListPage page, ParseListObjects(answer.body), "list {}",
                       client_->Location(folder));
      for (const S3ListPage::Object& object : page.objects) {
        std::string name = NameOf(object.key, folder);
        if (name.empty() || object.bytes == 0) continue;
        out.push_back(
            {.name = std::move(name), .bytes = object.bytes, .modified_at = object.modified_at});
      }
      if (page.next_token.empty()) break;
      query["continuation-token"] = page.next_token;
    }
    std::sort(out.begin(), out.end(),
              [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
    return out;
  }

  // Metadata and attributes of a listed object. Both lie in one answer if the metadata are ours; the object itself is asked
  // for the attributes only if it has no metadata, as most of RKE2's. kNotFound: it is gone by now. An error that is the
  // object's own stays with it: what somebody else has put into the folder must not hide the rest.
  Status Complete(ObjectInfo& info, bool has_metadata) {
    if (has_metadata) {
      StatusOr<HttpResponse> answer = GetMetadata(info.name);
      if (answer.ok()) {
        info.attributes = AttributesOf(*answer);
        info.metadata = std::move(answer->body);
      } else {
        info.metadata = answer.status();
      }
    }
    if (!info.attributes.empty()) return OkStatus();
    const auto head = HeadS3Object(*client_, KeyOf(info.name));
    if (head.ok()) {
      info.attributes = AttributesOf(*head);
    } else if (IsOfOneObject(head.status())) {
      info.attributes_status = head.status();
    } else {
      return head.status();
    }
    return OkStatus();
  }

  StatusOr<HttpResponse> GetMetadata(const std::string& name) {
    ASSIGN_OR_RETURN(HttpResponse answer, client_->Call({.key = MetadataKeyOf(name)}));
    if (answer.body.size() > kMetadataBytesMax)
      return ResourceExhaustedError("{} is longer than {} bytes",
                                    client_->Location(MetadataKeyOf(name)), kMetadataBytesMax);
    return answer;
  }

  Status Delete(const std::string& key) {
    const Status status = client_->Call({.method = "DELETE", .key = key}).status();
    return absl::IsNotFound(status) ? OkStatus() : status;
  }

  const std::shared_ptr<S3Client> client_;  // shared with the objects that were opened
  const std::string prefix_;                // "" or "folder/"
};

}  // namespace

StatusOr<std::unique_ptr<ObjectStore>> OpenS3Store(const S3Options& options,
                                                   const S3Context& context) {
  ASSIGN_OR_RETURN(auto client, MakeS3Client(options, context));
  RETURN_IF_ERROR(FindBucket(*client));
  return std::make_unique<S3Store>(std::move(client));
}

}  // namespace holdfast
