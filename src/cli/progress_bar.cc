#include "cli/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "os/host.h"

namespace holdfast {
namespace {
constexpr absl::Duration kRedraw = absl::Milliseconds(100), kPlainLine = absl::Seconds(10);
constexpr int kBarCells = 24;
}  // namespace

std::string FormatProgress(std::uint64_t done, std::uint64_t total, absl::Duration elapsed,
                           int columns) {
  const std::int64_t seconds = absl::ToInt64Seconds(elapsed);
  const double rate = static_cast<double>(done) / std::max(absl::ToDoubleSeconds(elapsed), 0.001);
  const std::string numbers = fmt::format(
      "{}{}  {}/s  {:02}:{:02}", FormatBytes(done), total > 0 ? " of " + FormatBytes(total) : "",
      FormatBytes(static_cast<std::uint64_t>(rate)), seconds / 60, seconds % 60);
  std::string out = numbers;
  if (total > 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    const int filled = static_cast<int>(share * kBarCells);
    std::string bar(static_cast<std::size_t>(kBarCells), ' ');
    std::fill_n(bar.begin(), filled, '=');
    if (filled < kBarCells) bar[static_cast<std::size_t>(filled)] = '>';
    const std::string with_bar =
        fmt::format("[{}] {:3}%  {}", bar, static_cast<int>(share * 100), numbers);
    if (with_bar.size() < static_cast<std::size_t>(columns)) out = with_bar;
  }
  return out.substr(0, static_cast<std::size_t>(std::max(columns - 1, 1)));
}

ProgressBar::ProgressBar(Clock& clock, std::string what, bool terminal)
    : clock_(clock),
      what_(std::move(what)),
      terminal_(terminal),
      start_(clock.Steady()),
      last_(start_) {}

ProgressBar::~ProgressBar() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void ProgressBar::Begin(std::string_view what) {
  if (what_ == what) return;
  what_ = what;
  start_ = clock_.Steady();
}

void ProgressBar::Update(std::uint64_t done, std::uint64_t total) {
  const absl::Duration now = clock_.Steady();
  if (now - last_ < (terminal_ ? kRedraw : kPlainLine)) return;
  last_ = now;
  if (terminal_) {
    std::fputs(fmt::format("\r\033[K{} {}", what_,
                           FormatProgress(done, total, now - start_,
                                          TerminalColumns() - static_cast<int>(what_.size()) - 1))
                   .c_str(),
               stderr);
    drawn_ = true;
  } else {
    LogInfo("{}: {}", what_, FormatProgress(done, total, now - start_, 200));
  }
}

}  // namespace holdfast
