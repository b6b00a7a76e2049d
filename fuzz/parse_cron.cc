// Any text must either be refused or give runs that move forward.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "schedule/cron.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using holdfast::CronSchedule;
  const auto cron =
      CronSchedule::Parse(holdfast::TextOf({data, size}), absl::FixedTimeZone(5 * 3600 + 45 * 60));
  if (!cron.ok()) {
    CHECK(absl::IsInvalidArgument(cron.status()));
    return 0;
  }
  absl::Time t = absl::FromUnixSeconds(1709164799);  // 2024-02-28T23:59:59Z, before a leap day
  for (int i = 0; i < 5 && t < absl::InfiniteFuture(); ++i) {
    const absl::Time next = cron->Next(t);
    CHECK(next > t);
    t = next;
  }
  return 0;
}
