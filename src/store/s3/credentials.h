// Whose requests these are. The first of these that gives credentials is used from then on:
//   1. settings: access key and secret key, both (the command line has AWS_ACCESS_KEY_ID and so on as their defaults)
//   2. environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//   3. shared file: AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, profile AWS_PROFILE or "default"
//   4. web identity: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, exchanged at STS
//   5. container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (ECS, EKS Pod Identity)
//   6. instance: the metadata service of EC2 (IMDSv2), unless AWS_EC2_METADATA_DISABLED
//   7. anonymous
// Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers".
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "store/s3/s3_options.h"
#include "store/s3/s3_store.h"
#include "store/s3/sigv4.h"

namespace holdfast {

// One of the above. `find`: nothing if it is not set up here; an error if it is and did not work.
struct CredentialsSource {
  std::string name;
  std::function<StatusOr<std::optional<S3Credentials>>()> find;
};
// In order, without the last. `context` must outlive them.
std::vector<CredentialsSource> CredentialsSources(const S3Options& options,
                                                  const S3Context& context);

// Thread-safe.
class CredentialsChain {
 public:
  CredentialsChain(std::vector<CredentialsSource> sources, Clock& clock)
      : sources_(std::move(sources)), clock_(clock) {}

  // Those to use now: found at the first call, and again shortly before they expire. An error only if a source that gave
  // some before gives none when the old ones are over.
  StatusOr<S3Credentials> Get();

  // `refused` were refused: asks their source again. True if it has others now.
  bool Renew(const S3Credentials& refused);

  // What to tell a user whose anonymous request was refused: where was looked, and what was wrong there.
  std::string WhyNone();

  // "shared credentials file"; "none" before the first Get().
  std::string source();

 private:
  Status FindLocked() HF_REQUIRES(mutex_);

  const std::vector<CredentialsSource> sources_;
  Clock& clock_;

  // Held while a source is asked, over the network too: nobody can do anything without its answer.
  Mutex mutex_;
  std::optional<S3Credentials> current_ HF_GUARDED_BY(mutex_);
  const CredentialsSource* found_ HF_GUARDED_BY(mutex_) = nullptr;
  std::vector<std::string> failures_ HF_GUARDED_BY(mutex_);
};

}  // namespace holdfast
