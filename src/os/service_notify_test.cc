#include "os/service_notify.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "os/fd.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

TEST(ServiceNotifier, SendsOneDatagramToTheSocket) {
  const testing::TempDir dir;
  const std::string path = dir / "notify";
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  const ServiceNotifier notifier;
  ::unsetenv("NOTIFY_SOCKET");
  ::unsetenv("WATCHDOG_USEC");
  EXPECT_EQ(notifier.watchdog_interval(), absl::Seconds(15));
  notifier.Send("READY=1\nSTATUS=up");
  char out[64];
  const ssize_t n = ::recv(fd.get(), out, sizeof out, MSG_DONTWAIT);
  ASSERT_GT(n, 0);
  EXPECT_EQ(std::string(out, static_cast<std::size_t>(n)), "READY=1\nSTATUS=up");
}

TEST(ServiceNotifier, DoesNothingWithoutSystemd) {
  const ServiceNotifier notifier;
  EXPECT_FALSE(notifier.watchdog_interval());
  notifier.Send("READY=1");
}

}  // namespace
}  // namespace holdfast
