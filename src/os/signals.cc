#include "os/signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "os/fd.h"

namespace holdfast {

SignalStop::SignalStop() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  CHECK(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  ::signal(SIGPIPE, SIG_IGN);  // a peer that goes away is an error of write(), not our end
  wake_ = ::eventfd(0, EFD_CLOEXEC);
  Fd signals(::signalfd(-1, &set, SFD_CLOEXEC));
  CHECK(wake_ >= 0 && signals.valid());
  watcher_ = std::jthread([this, fd = std::move(signals)] {
    ::pthread_setname_np(::pthread_self(), "signals");
    while (true) {
      pollfd fds[2] = {{fd.get(), POLLIN, 0}, {wake_, POLLIN, 0}};
      if (::poll(fds, 2, -1) < 0) continue;
      if ((fds[1].revents & POLLIN) != 0) return;
      signalfd_siginfo info;
      if (::read(fd.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) continue;
      if (source_.stop_requested()) {
        LogError("second signal {}: ending at once", info.ssi_signo);
        ::_exit(1);
      }
      LogInfo("signal {}: stopping", info.ssi_signo);
      source_.request_stop();
    }
  });
}

SignalStop::~SignalStop() {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
  watcher_.join();
  ::close(wake_);
}

}  // namespace holdfast
