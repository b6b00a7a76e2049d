// Pipes to and from child processes, moved with a deadline and a stop token.
#pragma once

#include <stop_token>

#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/status.h"
#include "os/fd.h"

namespace holdfast {

// Both ends are closed on exec, so that a child has only what it is given.
struct Pipe {
  Fd read, write;
};
StatusOr<Pipe> MakePipe();

// How long a transfer may stand still (kDeadlineExceeded), and what ends it before (kCancelled).
struct PipeWait {
  absl::Duration stall_timeout;
  std::stop_token stop;
};

// Until bytes can move through a descriptor (POLLIN, POLLOUT), or its other end is closed.
Status AwaitReady(int fd, short events, const PipeWait& wait);

// Makes our end ready for the functions below: it does not block, and the pipe takes 1 MiB where the kernel allows it.
Status PreparePipe(const Fd& end);

// What is there, at least one byte; 0 when nobody can write any more.
StatusOr<std::size_t> ReadPipe(const Fd& end, MutableByteSpan out, const PipeWait& wait);

// All of it. False if the reader has gone away. SIGPIPE must be ignored (os/signals.h).
StatusOr<bool> WritePipe(const Fd& end, ByteSpan data, const PipeWait& wait);

}  // namespace holdfast
