#include "store/s3/upload.h"

#include <openssl/evp.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/log.h"
#include "base/text.h"
#include "store/s3/answers.h"

namespace holdfast {
namespace {

// Senders; one more part is filling. With parts of 48 MiB there are fewer, so that memory stays below the 96 MiB.
constexpr int kSendersMax = 3;
constexpr std::uint64_t kUploadBytesMax = 96 * kMiB;

using Md5Digest = std::array<std::uint8_t, 16>;

Md5Digest Md5Of(ByteSpan data) {
  Md5Digest out;
  CHECK(EVP_Digest(data.data(), data.size(), out.data(), nullptr, EVP_md5(), nullptr) == 1);
  return out;
}

std::string ETagOf(const HttpResponse& answer) { return BareETag(answer.Header("etag")); }

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Under KMS an ETag is no MD5.
bool IsMd5(const HttpResponse& answer) {
  return !answer.Header("x-amz-server-side-encryption").starts_with("aws:kms");
}

// `expected`: an MD5 in hex, perhaps with "-<parts>" behind it. ETags of another form say nothing.
Status CheckETag(const HttpResponse& answer, const std::string& etag, const std::string& expected) {
  const std::string_view view = etag;
  const bool comparable = IsMd5(answer) && view.size() == expected.size() &&
                          IsHex(view.substr(0, 32)) && view.substr(32) == expected.substr(32);
  if (!comparable || etag == expected) return OkStatus();
  return DataLossError("the store has other bytes than were sent: its ETag is {:.50}, not {}", etag,
                       expected);
}

Status CheckStored(const HttpResponse& head, std::uint64_t bytes) {
  const auto stored = ParseUint(head.Header("content-length"));
  if (stored == bytes) return OkStatus();
  return DataLossError("the store has {} bytes where {} were sent", head.Header("content-length"),
                       bytes);
}

// Two clusters that share a folder may take one name in the same second, and the last to write has it.
Status CheckOwner(const HttpResponse& head, const std::map<std::string, std::string>& sent,
                  const std::string& location) {
  for (const auto& [name, value] : sent) {
    const std::string_view found = head.Header(name);
    if (!name.starts_with(kS3UserMetadata) || found.empty() || found == value) continue;
    return AlreadyExistsError("{} was replaced by another's of the same name: {} is {:.100}",
                              location, name, found);
  }
  return OkStatus();
}

class S3Upload final : public NewObject {
 public:
  S3Upload(std::shared_ptr<S3Client> client, const S3UploadOptions& options)
      : client_(std::move(client)),
        options_(options),
        on_stop_(options.stop, [this] { Fail(CancelledError("stopped")); }),
        on_stop_of_all_(client_->context().stop, [this] { Fail(CancelledError("stopped")); }) {}

  ~S3Upload() override {
    Fail(CancelledError("given up"));
    senders_.clear();
    if (committed_ || upload_id_.empty()) return;
    // best effort: RemoveUnfinished finds it again
    const Status aborted = client_->CleanUp(
        {.method = "DELETE", .key = options_.key, .query = {{"uploadId", upload_id_}}});
    if (!aborted.ok() && !absl::IsNotFound(aborted))
      LogWarn("s3: an unfinished upload stays for now: {}", MessageOf(aborted));
  }

  Status Write(ByteSpan data) override {
    while (!data.empty()) {
      if (filling_.size == filling_.buffer.bytes().size()) RETURN_IF_ERROR(NextPart());
      const MutableByteSpan room = filling_.buffer.bytes().subspan(filling_.size);
      const std::size_t n = std::min(room.size(), data.size());
      std::memcpy(room.data(), data.data(), n);
      filling_.size += n;
      bytes_ += n;
      data = data.subspan(n);
    }
    return OkStatus();
  }

  Status Finish() override {
    if (upload_id_.empty()) return OkStatus();
    if (filling_.size > 0) RETURN_IF_ERROR(HandOver());
    const MutexLock lock(mutex_);
    while (status_.ok() && sent_ < last_part_) changed_.wait(mutex_);
    return status_;
  }

  Status Commit() override {
    const auto present = HeadS3Object(*client_, options_.key, stop_.get_token());
    if (present.ok()) return AlreadyExistsError("{} exists", client_->Location(options_.key));
    if (!absl::IsNotFound(present.status())) return present.status();
    const Status stored =
        upload_id_.empty() ? PutS3Object(*client_, RequestOptions(), WholeBody()) : Complete();
    if (absl::IsDataLoss(stored)) {
      // best effort: nobody shall take for a snapshot what is none
      client_->CleanUp({.method = "DELETE", .key = options_.key}).IgnoreError();
    }
    RETURN_IF_ERROR(stored);
    committed_ = true;
    return OkStatus();
  }

  std::uint64_t bytes() const override { return bytes_; }

 private:
  struct Part {
    int number = 0;
    AlignedBuffer buffer;
    std::size_t size = 0;
  };
  struct SentPart {
    std::string etag;
    Md5Digest md5;
  };

  S3UploadOptions RequestOptions() const {
    S3UploadOptions out = options_;
    out.stop = stop_.get_token();
    return out;
  }
  std::string_view WholeBody() { return TextOf(filling_.buffer.bytes().first(filling_.size)); }

  // A buffer to fill: the first, or after the one that is full was handed over.
  Status NextPart() {
    if (filling_.buffer.empty()) {
      filling_ = {.number = 1, .buffer = AlignedBuffer(S3PartBytes(1))};
      return OkStatus();
    }
    if (upload_id_.empty()) RETURN_IF_ERROR(Begin());
    const int next = filling_.number + 1;
    if (next > kS3PartsMax)
      return ResourceExhaustedError("{} is longer than {} parts", options_.key, kS3PartsMax);
    RETURN_IF_ERROR(HandOver());
    ASSIGN_OR_RETURN(AlignedBuffer buffer, FreeBuffer(S3PartBytes(next)));
    filling_ = {.number = next, .buffer = std::move(buffer)};
    return OkStatus();
  }

  Status Begin() {
    ASSIGN_OR_RETURN(const HttpResponse answer, client_->Call({.method = "POST",
                                                               .key = options_.key,
                                                               .query = {{"uploads", ""}},
                                                               .headers = options_.headers,
                                                               .stop = stop_.get_token()}));
    ASSIGN_OR_RETURN(upload_id_, ParseUploadId(answer.body), "begin upload of {}",
                     client_->Location(options_.key));
    const int senders = client_->options().bytes_per_second_max > 0 ? 1 : kSendersMax;
    for (int i = 0; i < senders; ++i) senders_.emplace_back([this, i] { Send(i); });
    return OkStatus();
  }

  Status HandOver() {
    const MutexLock lock(mutex_);
    RETURN_IF_ERROR(status_);
    last_part_ = filling_.number;
    waiting_.push_back(std::move(filling_));
    filling_ = {};
    changed_.notify_all();
    return OkStatus();
  }

  // Waits until there is memory for another part.
  StatusOr<AlignedBuffer> FreeBuffer(std::uint64_t size) {
    const std::uint64_t bytes_max = std::min(kUploadBytesMax, (kSendersMax + 1) * size);
    {
      const MutexLock lock(mutex_);
      while (status_.ok() && free_.empty() && (InFlight() + 1) * size > bytes_max)
        changed_.wait(mutex_);
      RETURN_IF_ERROR(status_);
      while (!free_.empty()) {
        AlignedBuffer buffer = std::move(free_.back());
        free_.pop_back();
        if (buffer.bytes().size() == size) return buffer;
      }
    }
    return AlignedBuffer(size);
  }
  std::uint64_t InFlight() const HF_REQUIRES(mutex_) {
    return static_cast<std::uint64_t>(last_part_ - sent_);
  }

  // Ends everybody's waiting and sending, unless it was ended before.
  void Fail(const Status& status) {
    {
      const MutexLock lock(mutex_);
      if (status_.ok()) status_ = status;
      changed_.notify_all();
    }
    stop_.request_stop();
  }

  // The next part to send; nothing when it is over.
  std::optional<Part> NextToSend() {
    const MutexLock lock(mutex_);
    while (status_.ok() && waiting_.empty()) changed_.wait(mutex_);
    if (!status_.ok()) return std::nullopt;
    Part part = std::move(waiting_.front());
    waiting_.pop_front();
    return part;
  }

  // A sender's life.
  void Send(int number) {
    ::pthread_setname_np(::pthread_self(), fmt::format("s3-upload-{}", number).c_str());
    while (std::optional<Part> part = NextToSend()) {
      StatusOr<SentPart> sent = SendPart(*part);
      if (!sent.ok()) return Fail(Annotate(sent.status(), fmt::format("part {}", part->number)));
      const auto index = static_cast<std::size_t>(part->number) - 1;
      const MutexLock lock(mutex_);
      if (parts_.size() <= index) parts_.resize(index + 1);
      parts_[index] = *std::move(sent);
      ++sent_;
      free_.push_back(std::move(part->buffer));
      changed_.notify_all();
    }
  }

  StatusOr<SentPart> SendPart(Part& part) {
    const ByteSpan body = part.buffer.bytes().first(part.size);
    SentPart out{.md5 = Md5Of(body)};
    ASSIGN_OR_RETURN(const HttpResponse answer,
                     client_->Call({.method = "PUT",
                                    .key = options_.key,
                                    .query = {{"partNumber", std::to_string(part.number)},
                                              {"uploadId", upload_id_}},
                                    .body = TextOf(body),
                                    .stop = stop_.get_token()}));
    out.etag = ETagOf(answer);
    if (out.etag.empty()) return DataLossError("the answer has no ETag");
    RETURN_IF_ERROR(CheckETag(answer, out.etag, HexOf(out.md5)));
    return out;
  }

  Status Complete() {
    std::vector<std::string> etags;
    std::string md5s;
    {
      const MutexLock lock(mutex_);
      for (const SentPart& part : parts_) {
        etags.push_back(part.etag);
        md5s += TextOf(part.md5);
      }
    }
    const std::string expected = fmt::format("{}-{}", HexOf(Md5Of(BytesOf(md5s))), etags.size());
    const auto answer = client_->Call({.method = "POST",
                                       .key = options_.key,
                                       .query = {{"uploadId", upload_id_}},
                                       .headers = {{"content-type", "application/xml"}},
                                       .body = WriteCompletion(etags),
                                       .patient = true,
                                       .stop = stop_.get_token()});
    // What is there now decides. The upload may be complete though the answer got lost: another try is then told that there
    // is no such upload.
    const auto head = HeadS3Object(*client_, options_.key, stop_.get_token());
    if (!answer.ok() && (!head.ok() || ETagOf(*head) != expected)) return answer.status();
    RETURN_IF_ERROR(head.status());
    RETURN_IF_ERROR(CheckOwner(*head, options_.headers, client_->Location(options_.key)));
    RETURN_IF_ERROR(CheckETag(*head, ETagOf(*head), expected), "{}",
                    client_->Location(options_.key));
    return CheckStored(*head, bytes_);
  }

  const std::shared_ptr<S3Client> client_;
  const S3UploadOptions options_;

  // Of the thread that writes.
  Part filling_;
  std::string upload_id_;  // empty: not begun; the senders read it
  std::uint64_t bytes_ = 0;
  bool committed_ = false;

  std::stop_source stop_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Part> waiting_ HF_GUARDED_BY(mutex_);
  std::vector<AlignedBuffer> free_ HF_GUARDED_BY(mutex_);
  std::vector<SentPart> parts_ HF_GUARDED_BY(mutex_);
  int last_part_ HF_GUARDED_BY(mutex_) = 0;  // handed over
  int sent_ HF_GUARDED_BY(mutex_) = 0;
  Status status_ HF_GUARDED_BY(mutex_);  // the first error
  const std::stop_callback<std::function<void()>> on_stop_, on_stop_of_all_;
  std::vector<std::jthread> senders_;
};

}  // namespace

std::uint64_t S3PartBytes(int part_number) {
  if (part_number <= 4000) return 16 * kMiB;
  return part_number <= 7000 ? 32 * kMiB : 48 * kMiB;
}

StatusOr<std::map<std::string, std::string>> S3Headers(
    const S3Options& options, const std::map<std::string, std::string>& attributes) {
  std::map<std::string, std::string> headers;
  for (const auto& [name, value] : attributes) {
    if (value.empty()) continue;  // no header can say that
    const bool printable =
        std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c < 0x7f; });
    if (!printable)
      return InvalidArgumentError("the {} \"{}\" cannot be kept with an s3 object", name, value);
    headers[ToLower(fmt::format("{}{}-{}", kS3UserMetadata, options.header_prefix, name))] = value;
  }
  if (!options.server_side_encryption.empty())
    headers["x-amz-server-side-encryption"] = options.server_side_encryption;
  if (!options.kms_key_id.empty())
    headers["x-amz-server-side-encryption-aws-kms-key-id"] = options.kms_key_id;
  return headers;
}

StatusOr<std::map<std::string, std::string>> S3SnapshotHeaders(
    const S3Options& options, const std::map<std::string, std::string>& attributes) {
  ASSIGN_OR_RETURN(auto headers, S3Headers(options, attributes));
  if (!options.storage_class.empty()) headers["x-amz-storage-class"] = options.storage_class;
  return headers;
}

std::unique_ptr<NewObject> StartS3Upload(std::shared_ptr<S3Client> client,
                                         const S3UploadOptions& options) {
  return std::make_unique<S3Upload>(std::move(client), options);
}

Status PutS3Object(S3Client& client, const S3UploadOptions& options, std::string_view body) {
  ASSIGN_OR_RETURN(const HttpResponse answer, client.Call({.method = "PUT",
                                                           .key = options.key,
                                                           .headers = options.headers,
                                                           .body = body,
                                                           .stop = options.stop}));
  RETURN_IF_ERROR(CheckETag(answer, ETagOf(answer), HexOf(Md5Of(BytesOf(body)))), "{}",
                  client.Location(options.key));
  ASSIGN_OR_RETURN(const HttpResponse head, HeadS3Object(client, options.key, options.stop));
  RETURN_IF_ERROR(CheckOwner(head, options.headers, client.Location(options.key)));
  return CheckStored(head, body.size());
}

StatusOr<HttpResponse> HeadS3Object(S3Client& client, const std::string& key,
                                    std::stop_token stop) {
  return client.Call({.method = "HEAD", .key = key, .stop = std::move(stop)});
}

}  // namespace holdfast
