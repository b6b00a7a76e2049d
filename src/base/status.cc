#include "base/status.h"

#include <cerrno>
#include <system_error>

#include "absl/strings/cord.h"

namespace holdfast {
namespace {

constexpr char kHintPayload[] = "holdfast/hint";

StatusCode CodeOfErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ESRCH:
      return StatusCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EFBIG:
      return StatusCode::kResourceExhausted;
    case EIO:
      return StatusCode::kDataLoss;
    case ETIMEDOUT:
      return StatusCode::kDeadlineExceeded;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return StatusCode::kUnavailable;
    case EWOULDBLOCK:
    case EBUSY:
      return StatusCode::kAborted;
    case ENAMETOOLONG:
    case EINVAL:
      return StatusCode::kInvalidArgument;
    case EOPNOTSUPP:
    case ENOSYS:
      return StatusCode::kUnimplemented;
    default:
      return StatusCode::kFailedPrecondition;
  }
}

}  // namespace

Status MakeStatus(StatusCode code, std::string_view message) {
  return Status(code, absl::string_view(message.data(), message.size()));
}

Status ErrnoError(int error_number, std::string_view what) {
  std::string reason = std::generic_category().message(error_number);
  if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z' &&
      !(reason[1] >= 'A' && reason[1] <= 'Z')) {
    reason[0] = static_cast<char>(reason[0] - 'A' + 'a');
  }
  return MakeStatus(CodeOfErrno(error_number), fmt::format("{}: {}", what, reason));
}

Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  Status out = MakeStatus(status.code(), fmt::format("{}: {}", context, MessageOf(status)));
  if (std::string hint = HintOf(status); !hint.empty())
    out.SetPayload(kHintPayload, absl::Cord(hint));
  return out;
}

Status WithHint(const Status& status, std::string_view hint) {
  if (status.ok() || !HintOf(status).empty()) return status;
  Status out = status;
  out.SetPayload(kHintPayload, absl::Cord(absl::string_view(hint.data(), hint.size())));
  return out;
}

std::string HintOf(const Status& status) {
  auto payload = status.GetPayload(kHintPayload);
  return payload ? std::string(*payload) : std::string();
}

std::string MessageOf(const Status& status) {
  return std::string(status.message().data(), status.message().size());
}

std::string_view CodeWord(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kCancelled:
      return "cancelled";
    case StatusCode::kInvalidArgument:
      return "invalid_argument";
    case StatusCode::kDeadlineExceeded:
      return "deadline_exceeded";
    case StatusCode::kNotFound:
      return "not_found";
    case StatusCode::kAlreadyExists:
      return "already_exists";
    case StatusCode::kPermissionDenied:
      return "permission_denied";
    case StatusCode::kResourceExhausted:
      return "resource_exhausted";
    case StatusCode::kFailedPrecondition:
      return "failed_precondition";
    case StatusCode::kAborted:
      return "aborted";
    case StatusCode::kUnimplemented:
      return "unimplemented";
    case StatusCode::kInternal:
      return "internal";
    case StatusCode::kUnavailable:
      return "unavailable";
    case StatusCode::kDataLoss:
      return "data_loss";
    case StatusCode::kUnauthenticated:
      return "unauthenticated";
    default:
      return "unknown";
  }
}

}  // namespace holdfast
