#include "os/host.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <malloc.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "base/text.h"
#include "os/fd.h"
#include "os/file_system.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kProcFileMax = 8u << 20;

struct InterfaceAddress {
  std::string interface, address;
  bool loopback = false, link_local = false, v4 = false;
};

std::vector<InterfaceAddress> InterfaceAddresses() {
  std::vector<InterfaceAddress> out;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr || (i->ifa_flags & IFF_UP) == 0) continue;
    InterfaceAddress a;
    a.interface = i->ifa_name;
    a.loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;
    char text[INET6_ADDRSTRLEN] = {};
    if (i->ifa_addr->sa_family == AF_INET) {
      sockaddr_in in;
      std::memcpy(&in, i->ifa_addr, sizeof in);
      ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
      a.v4 = true;
      a.link_local = (ntohl(in.sin_addr.s_addr) >> 16) == 0xa9fe;
    } else if (i->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 in;
      std::memcpy(&in, i->ifa_addr, sizeof in);
      ::inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
      a.link_local = IN6_IS_ADDR_LINKLOCAL(&in.sin6_addr);
    } else {
      continue;
    }
    a.address = text;
    out.push_back(std::move(a));
  }
  ::freeifaddrs(list);
  return out;
}

// The interface of the IPv4 default route, from /proc/net/route; empty if there is none.
std::string DefaultRouteInterface() {
  const auto text = ReadFile(PosixFileSystem(), "/proc/net/route", kProcFileMax);
  if (!text.ok()) return {};
  std::istringstream lines(*text);
  std::string line;
  std::getline(lines, line);  // header
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string interface, destination;
    fields >> interface >> destination;
    if (destination == "00000000") return interface;
  }
  return {};
}

// The inode of a socket that listens on `port`, from /proc/net/tcp and tcp6; empty if none is seen.
std::string ListenerInode(int port) {
  const std::string suffix = fmt::format(":{:04X}", port);
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const auto text = ReadFile(PosixFileSystem(), path, kProcFileMax);
    if (!text.ok()) continue;
    std::istringstream lines(*text);
    std::string line;
    while (std::getline(lines, line)) {
      std::istringstream fields(line);
      std::string slot, local, remote, state, queue, timer, retransmits, uid, timeout, inode;
      fields >> slot >> local >> remote >> state >> queue >> timer >> retransmits >> uid >>
          timeout >> inode;
      if (state == "0A" && local.ends_with(suffix)) return inode;  // 0A: LISTEN
    }
  }
  return {};
}

// "etcd (pid 12)" of a process with an open descriptor whose link in /proc `is_wanted`; empty if we see none.
template <typename IsWanted>
std::string ProcessWith(const IsWanted& is_wanted) {
  const auto processes = PosixFileSystem().List("/proc");
  if (!processes.ok()) return {};
  for (const DirectoryEntry& process : *processes) {
    if (!ParseUint(process.name)) continue;
    const std::string base = "/proc/" + process.name;
    const auto descriptors = PosixFileSystem().List(base + "/fd");
    if (!descriptors.ok()) continue;
    for (const DirectoryEntry& fd : *descriptors) {
      if (!is_wanted(base + "/fd/" + fd.name)) continue;
      const auto name = ReadFile(PosixFileSystem(), base + "/comm", 64);
      return fmt::format("{} (pid {})", name.ok() ? Trim(*name) : "a process", process.name);
    }
  }
  return {};
}

std::string SocketOwner(const std::string& inode) {
  const std::string wanted = "socket:[" + inode + "]";
  if (inode.empty()) return {};
  return ProcessWith([&wanted](const std::string& link) {
    char target[64];
    const ssize_t n = ::readlink(link.c_str(), target, sizeof target);
    return n > 0 && std::string_view(target, static_cast<std::size_t>(n)) == wanted;
  });
}

}  // namespace

std::optional<std::string> Environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == 0) return "localhost";
  return name;
}

std::string WorkingDirectory() {
  char path[PATH_MAX];
  return ::getcwd(path, sizeof path) != nullptr ? path : "/";
}

std::string NodeAddress() {
  const std::vector<InterfaceAddress> all = InterfaceAddresses();
  const std::string routed = DefaultRouteInterface();
  const auto first = [&](auto&& suits) -> std::string {
    for (const InterfaceAddress& a : all) {
      if (!a.loopback && !a.link_local && suits(a)) return a.address;
    }
    return {};
  };
  if (auto a = first([&](const auto& i) { return i.v4 && i.interface == routed; }); !a.empty())
    return a;
  if (auto a = first([](const auto& i) { return i.v4; }); !a.empty()) return a;
  if (auto a = first([](const auto&) { return true; }); !a.empty()) return a;
  return "127.0.0.1";
}

bool IsIpAddress(const std::string& text) {
  in6_addr out;
  return ::inet_pton(AF_INET, text.c_str(), &out) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &out) == 1;
}

Status CheckPortFree(const std::string& address, int port) {
  const bool v6 = address.find(':') != std::string::npos;
  const Fd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError(errno, "make socket");
  const int one = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  int rc;
  if (v6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET6, address.c_str(), &in.sin6_addr);
    rc = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof in);
  } else {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(static_cast<std::uint16_t>(port));
    if (!address.empty()) ::inet_pton(AF_INET, address.c_str(), &in.sin_addr);
    rc = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof in);
  }
  if (rc == 0) return OkStatus();
  const std::string where = address.empty() ? "" : " of " + address;
  if (errno != EADDRINUSE) return ErrnoError(errno, fmt::format("bind port {}{}", port, where));
  const std::string owner = SocketOwner(ListenerInode(port));
  return FailedPreconditionError("port {}{} is in use by {}", port, where,
                                 owner.empty() ? "another process" : owner);
}

std::string WhoHasOpen(const std::string& path) {
  struct stat wanted;
  if (::stat(path.c_str(), &wanted) != 0) return {};
  // By inode: a process in a container knows the file under another path.
  return ProcessWith([&wanted](const std::string& link) {
    struct stat st;
    return ::stat(link.c_str(), &st) == 0 && st.st_ino == wanted.st_ino &&
           st.st_dev == wanted.st_dev;
  });
}

bool StderrIsTerminal() { return ::isatty(2) == 1; }

int TerminalColumns() {
  winsize size{};
  if (::ioctl(2, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

void HideArguments(int argc, char** argv, const std::vector<std::string>& keep) {
  for (int i = 1; i < argc; ++i) {
    if (std::find(keep.begin(), keep.end(), argv[i]) == keep.end())
      std::memset(argv[i], 0, std::strlen(argv[i]));
  }
}

void KeepHeapSmall() {
  // glibc gives each thread a heap of its own, and every one keeps the peak of what ever ran on it.
  ::mallopt(M_ARENA_MAX, 1);
  // Large blocks come from the kernel and go back to it. Said once, the limit no longer adapts to what was freed.
  ::mallopt(M_MMAP_THRESHOLD, 128 << 10);
}

}  // namespace holdfast
