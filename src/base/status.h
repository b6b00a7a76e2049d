// The result of everything that can fail. Status and StatusOr are abseil's; this header is the only way to them.
//
// What the codes mean here:
//   kNotFound, kAlreadyExists   of a named thing
//   kInvalidArgument            the caller's words are wrong
//   kFailedPrecondition         the state does not allow it
//   kDataLoss                   a checksum or a structure is broken, or the disk gave an I/O error
//   kResourceExhausted          disk, quota, memory
//   kPermissionDenied, kUnauthenticated
//   kUnavailable, kDeadlineExceeded   the only two that a retry may help
//   kAborted                    somebody else is doing it now
//   kCancelled, kUnimplemented, kInternal (a bug of ours)
//
// Messages are lower case without a full stop, outermost context first: "save snapshot x: write /a/b: no space left on
// device". Advice for the operator is apart from the message: WithHint().
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace holdfast {

using Status = absl::Status;
using StatusCode = absl::StatusCode;
template <typename T>
using StatusOr = absl::StatusOr<T>;

inline Status OkStatus() { return absl::OkStatus(); }

// Debian's abseil has a string_view of its own; this is the way from std's.
Status MakeStatus(StatusCode code, std::string_view message);

#define HOLDFAST_DEFINE_ERROR(Name)                                                           \
  template <typename... Args>                                                                 \
  Status Name##Error(fmt::format_string<Args...> format, Args&&... args) {                    \
    return MakeStatus(StatusCode::k##Name, fmt::format(format, std::forward<Args>(args)...)); \
  }
HOLDFAST_DEFINE_ERROR(NotFound)
HOLDFAST_DEFINE_ERROR(AlreadyExists)
HOLDFAST_DEFINE_ERROR(InvalidArgument)
HOLDFAST_DEFINE_ERROR(FailedPrecondition)
HOLDFAST_DEFINE_ERROR(DataLoss)
HOLDFAST_DEFINE_ERROR(ResourceExhausted)
HOLDFAST_DEFINE_ERROR(PermissionDenied)
HOLDFAST_DEFINE_ERROR(Unauthenticated)
HOLDFAST_DEFINE_ERROR(Unavailable)
HOLDFAST_DEFINE_ERROR(DeadlineExceeded)
HOLDFAST_DEFINE_ERROR(Aborted)
HOLDFAST_DEFINE_ERROR(Cancelled)
HOLDFAST_DEFINE_ERROR(Unimplemented)
HOLDFAST_DEFINE_ERROR(Internal)
#undef HOLDFAST_DEFINE_ERROR

// The error of a system call: `what` names the call and the path, errno the rest.
Status ErrnoError(int error_number, std::string_view what);

// The same status with "context: " before its message; code and hint stay. OK stays OK.
Status Annotate(const Status& status, std::string_view context);

// Advice for the operator, whole sentences with a full stop. The innermost hint wins: it knows most.
Status WithHint(const Status& status, std::string_view hint);
std::string HintOf(const Status& status);

std::string MessageOf(const Status& status);

// A short stable word for a code, as metrics and JSON show it: "data_loss".
std::string_view CodeWord(StatusCode code);

}  // namespace holdfast

#define HOLDFAST_CONCAT_INNER(a, b) a##b
#define HOLDFAST_CONCAT(a, b) HOLDFAST_CONCAT_INNER(a, b)

// RETURN_IF_ERROR(expr) or RETURN_IF_ERROR(expr, "context format", args...)
#define RETURN_IF_ERROR(expr, ...)                                                             \
  do {                                                                                         \
    if (::holdfast::Status hf_status_ = (expr); !hf_status_.ok()) [[unlikely]]                 \
      return ::holdfast::internal::Context(hf_status_ __VA_OPT__(, fmt::format(__VA_ARGS__))); \
  } while (false)

// ASSIGN_OR_RETURN(lhs, expr) or with a context as above; lhs may declare.
#define ASSIGN_OR_RETURN(lhs, expr, ...) \
  HOLDFAST_ASSIGN_OR_RETURN(HOLDFAST_CONCAT(hf_result_, __LINE__), lhs, expr, __VA_ARGS__)
#define HOLDFAST_ASSIGN_OR_RETURN(result, lhs, expr, ...)                                         \
  auto result = (expr);                                                                           \
  if (!result.ok()) [[unlikely]]                                                                  \
    return ::holdfast::internal::Context(result.status() __VA_OPT__(, fmt::format(__VA_ARGS__))); \
  lhs = *std::move(result)

namespace holdfast::internal {
inline Status Context(const Status& status) { return status; }
inline Status Context(const Status& status, std::string_view context) {
  return Annotate(status, context);
}
}  // namespace holdfast::internal
