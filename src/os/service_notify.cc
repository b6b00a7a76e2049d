#include "os/service_notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "base/text.h"
#include "os/fd.h"
#include "os/host.h"

namespace holdfast {
namespace {
// A service manager that does not read must not hold up the service, least of all its end.
constexpr timeval kSendTimeout{.tv_sec = 2, .tv_usec = 0};
}  // namespace

ServiceNotifier::ServiceNotifier() : socket_(Environment("NOTIFY_SOCKET").value_or("")) {
  const auto limit = ParseUint(Environment("WATCHDOG_USEC").value_or(""));
  if (!socket_.empty() && limit && *limit > 0) {
    watchdog_interval_ = absl::Microseconds(static_cast<std::int64_t>(*limit)) / 2;
  }
}

void ServiceNotifier::Send(std::string_view state) const {
  sockaddr_un address{};
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = 0;  // abstract name
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
  (void)::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace holdfast
