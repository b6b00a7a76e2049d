#include "os/host.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/fd.h"
#include "testing/streams.h"
#include "testing/temp_dir.h"

namespace holdfast {
namespace {

TEST(Host, TakenPortIsRefusedWithItsHoldersName) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof in), 0);
  ASSERT_EQ(::listen(fd.get(), 1), 0);
  socklen_t size = sizeof in;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&in), &size);
  const int port = ntohs(in.sin_port);
  const Status taken = CheckPortFree("127.0.0.1", port);
  EXPECT_NE(MessageOf(taken).find(fmt::format("port {} of 127.0.0.1 is in use by ", port)),
            std::string::npos);
  EXPECT_NE(MessageOf(taken).find(fmt::format("(pid {})", ::getpid())), std::string::npos) << taken;
}

TEST(Host, AnOpenFileIsKnownWithItsHoldersName) {
  const testing::TempDir dir;
  testing::WriteTestFile(dir / "f", "");
  EXPECT_EQ(WhoHasOpen(dir / "f"), "");
  EXPECT_EQ(WhoHasOpen(dir / "none"), "");
  ASSERT_EQ(::link((dir / "f").c_str(), (dir / "other").c_str()), 0);
  const Fd fd(::open((dir / "other").c_str(), O_RDONLY));
  const std::string holder = WhoHasOpen(dir / "f");
  EXPECT_TRUE(holder.ends_with(fmt::format("(pid {})", ::getpid()))) << holder;
}

TEST(Host, HasAnAddress) { EXPECT_FALSE(NodeAddress().empty()); }

}  // namespace
}  // namespace holdfast
