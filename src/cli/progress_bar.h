// Progress of long work: a bar that redraws itself on a terminal; elsewhere a plain line every ten seconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/clock.h"

namespace holdfast {

// "[=====>    ]  45%  455 MB of 1.0 GB  310 MB/s  00:02", no longer than `columns`. `total` 0: it is not known.
std::string FormatProgress(std::uint64_t done, std::uint64_t total, absl::Duration elapsed,
                           int columns);

class ProgressBar {
 public:
  // `what` stands in front.
  ProgressBar(Clock& clock, std::string what, bool terminal);
  // Wipes the bar.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Update(std::uint64_t done, std::uint64_t total);
  // Another step of the work begins, with a bar of its own; nothing if `what` is the present one.
  void Begin(std::string_view what);

 private:
  Clock& clock_;
  std::string what_;
  const bool terminal_;
  absl::Duration start_, last_;
  bool drawn_ = false;
};

}  // namespace holdfast
