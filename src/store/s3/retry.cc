#include "store/s3/retry.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr absl::Duration kDelayFirst = absl::Milliseconds(200);
constexpr absl::Duration kAskedMax = absl::Minutes(1);
// Before that it is daily life.
constexpr int kFailuresToWarn = 4;

}  // namespace

void Retry::Progressed() { failures_in_a_row_ = 0; }

Status Retry::Again(const Status& failure, absl::Duration asked) {
  if (!absl::IsUnavailable(failure) && !absl::IsDeadlineExceeded(failure)) return failure;
  ++failures_;
  if (failures_in_a_row_++ == 0) first_failure_ = clock_.Steady();

  const absl::Duration tried = clock_.Steady() - first_failure_;
  const absl::Duration left = policy_.patience - tried;
  const absl::Duration step =
      std::min(policy_.delay_max, kDelayFirst * (1 << std::min(failures_in_a_row_ - 1, 16)));
  const absl::Duration jitter = absl::Milliseconds(
      random_.Below(static_cast<std::uint64_t>(absl::ToInt64Milliseconds(step)) + 1));
  const absl::Duration wait = std::min(left, std::max(jitter, std::min(asked, kAskedMax)));
  if (failures_ >= policy_.tries_max || left <= absl::ZeroDuration()) {
    if (failures_ == 1) return failure;
    return Annotate(failure, fmt::format("after {} tries in {}", failures_,
                                         FormatGoDuration(absl::Trunc(tried, absl::Seconds(1)))));
  }
  if (failures_in_a_row_ == kFailuresToWarn && !told_.exchange(true)) {
    LogWarn("s3: trying again for up to {}: {}", FormatGoDuration(policy_.patience),
            MessageOf(failure));
  }
  if (!clock_.Sleep(wait, stop_)) return CancelledError("stopped");
  return OkStatus();
}

}  // namespace holdfast
