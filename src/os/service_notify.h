// Tells systemd how the service is (Type=notify): one datagram to $NOTIFY_SOCKET. Without systemd all calls do nothing.
// Protocol: sd_notify(3).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace holdfast {

class ServiceNotifier {
 public:
  // Reads NOTIFY_SOCKET and WATCHDOG_USEC.
  ServiceNotifier();

  // "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=...", lines joined with \n.
  // best effort: a lost datagram must not stop a server.
  void Send(std::string_view state) const;

  // How often WATCHDOG=1 is expected (half of systemd's limit); nullopt if it is off.
  std::optional<absl::Duration> watchdog_interval() const { return watchdog_interval_; }

 private:
  std::string socket_;
  std::optional<absl::Duration> watchdog_interval_;
};

}  // namespace holdfast
