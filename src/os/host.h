// What the machine says about itself: names, addresses, environment, terminal, and who holds a port or a file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace holdfast {

std::optional<std::string> Environment(const char* name);

// As gethostname() gives it; may be a full domain name.
std::string HostName();

std::string WorkingDirectory();

// The address by which other hosts reach this one: that of the interface with the default route, else the first that is
// neither loopback nor link-local, else 127.0.0.1.
std::string NodeAddress();

// An IPv4 or IPv6 address in its usual form.
bool IsIpAddress(const std::string& text);

// True if nothing listens on this TCP port at `address` (an IP; empty: any), found by binding it for a moment.
// Otherwise kFailedPrecondition that names the process that does, if we may see it: "port 2379 is in use by etcd (pid 12)".
Status CheckPortFree(const std::string& address, int port);

// A process that has this file open, as "k3s-server (pid 12)"; empty if we see none. Only root sees those of others.
std::string WhoHasOpen(const std::string& path);

bool StderrIsTerminal();
int TerminalColumns();  // 80 if unknown

// Overwrites what `ps` shows of our arguments, so that no secret stands there: of all behind argv[0] only those in `keep`
// (the command's words) stay. Call when nobody needs argv any more.
void HideArguments(int argc, char** argv, const std::vector<std::string>& keep);

// Makes the heap give back what is freed, at the price of some contention: for a program that lives for months and works for
// seconds. Call before the first thread starts.
void KeepHeapSmall();

}  // namespace holdfast
