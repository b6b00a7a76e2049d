#include "store/s3/credentials.h"

#include "base/log.h"
#include "base/text.h"

namespace holdfast {
namespace {

// Time for requests under way, and for a source that does not answer at once.
constexpr absl::Duration kRenewBefore = absl::Minutes(5);
// Others are not asked for more often: a source that hands out what is about to expire would be asked at each request.
constexpr absl::Duration kRenewLast = absl::Seconds(10);

bool Same(const S3Credentials& a, const S3Credentials& b) {
  return a.access_key == b.access_key && a.secret_key == b.secret_key &&
         a.session_token == b.session_token;
}

}  // namespace

Status CredentialsChain::FindLocked() {
  failures_.clear();
  for (const CredentialsSource& source : sources_) {
    if (found_ != nullptr && found_ != &source) continue;
    StatusOr<std::optional<S3Credentials>> credentials = source.find();
    if (!credentials.ok()) {
      failures_.push_back(fmt::format("{}: {}", source.name, MessageOf(credentials.status())));
      LogDebug("s3 credentials: {}", failures_.back());
      continue;
    }
    if (!*credentials) continue;
    if (found_ == nullptr) LogDebug("s3 credentials: {}", source.name);
    current_ = **std::move(credentials);
    found_ = &source;
    return OkStatus();
  }
  if (found_ == nullptr) {
    current_ = S3Credentials();
    return OkStatus();
  }
  return UnauthenticatedError(
      "s3 credentials expired and there are no new ones: {}",
      failures_.empty() ? found_->name + ": no longer set up" : failures_.front());
}

StatusOr<S3Credentials> CredentialsChain::Get() {
  const MutexLock lock(mutex_);
  if (current_ && clock_.Now() < current_->expires_at - kRenewBefore) return *current_;
  const Status found = FindLocked();
  if (!found.ok() && !(current_ && clock_.Now() < current_->expires_at - kRenewLast)) return found;
  return *current_;
}

bool CredentialsChain::Renew(const S3Credentials& refused) {
  const MutexLock lock(mutex_);
  if (!current_) return false;
  if (!Same(*current_, refused)) return true;  // another thread was faster
  return found_ != nullptr && FindLocked().ok() && !Same(*current_, refused);
}

std::string CredentialsChain::WhyNone() {
  const MutexLock lock(mutex_);
  std::string text = "No credentials were found, so the request was anonymous";
  if (!failures_.empty()) text += " (" + Join(failures_, "; ") + ")";
  return text +
         ". Set etcd-s3-access-key and etcd-s3-secret-key, or another source of credentials.";
}

std::string CredentialsChain::source() {
  const MutexLock lock(mutex_);
  if (found_ != nullptr) return found_->name;
  return current_ ? "anonymous" : "none";
}

}  // namespace holdfast
