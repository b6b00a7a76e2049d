// SIGTERM and SIGINT as a stop request. Make one at the start of main, before any thread, so that all inherit the mask.
#pragma once

#include <stop_token>
#include <thread>

namespace holdfast {

class SignalStop {
 public:
  // Blocks the two signals in this and all later threads, and watches for them.
  SignalStop();
  ~SignalStop();
  SignalStop(const SignalStop&) = delete;
  SignalStop& operator=(const SignalStop&) = delete;

  // Stop is requested when a signal came. A second signal ends the program at once with exit code 1.
  std::stop_token token() const { return source_.get_token(); }
  std::stop_source source() const { return source_; }

 private:
  std::stop_source source_;
  int wake_ = -1;
  std::jthread watcher_;
};

}  // namespace holdfast
