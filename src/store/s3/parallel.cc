#include "store/s3/parallel.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace holdfast {

Status ForEachInParallel(std::size_t count, std::size_t threads_max,
                         const std::function<Status(std::size_t index)>& one) {
  std::atomic<std::size_t> next = 0;
  Mutex mutex;
  Status status;
  const auto work = [&](std::size_t number) {
    ::pthread_setname_np(::pthread_self(), fmt::format("s3-list-{}", number).c_str());
    for (std::size_t index; (index = next++) < count;) {
      const Status done = one(index);
      if (done.ok()) continue;
      next = count;
      const MutexLock lock(mutex);
      if (status.ok()) status = done;
      return;
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < std::min(count, threads_max); ++i) threads.emplace_back(work, i);
  threads.clear();
  return status;
}

}  // namespace holdfast
