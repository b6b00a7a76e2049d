// std::mutex with clang's thread-safety annotations (g++ ignores them; the clang builds check them).
#pragma once

#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"

#if defined(__clang__)
#define HOLDFAST_THREAD(x) __attribute__((x))
#else
#define HOLDFAST_THREAD(x)
#endif
#undef GUARDED_BY  // abseil's headers bring one of their own
#define GUARDED_BY(x) HOLDFAST_THREAD(guarded_by(x))
#define REQUIRES(...) HOLDFAST_THREAD(requires_capability(__VA_ARGS__))

namespace holdfast {

class HOLDFAST_THREAD(capability("mutex")) Mutex {
 public:
  void lock() HOLDFAST_THREAD(acquire_capability()) { mutex_.lock(); }
  void unlock() HOLDFAST_THREAD(release_capability()) { mutex_.unlock(); }
  bool try_lock() HOLDFAST_THREAD(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

class HOLDFAST_THREAD(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) HOLDFAST_THREAD(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() HOLDFAST_THREAD(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits on a Mutex that is held; wait() takes the Mutex itself.
using ConditionVariable = std::condition_variable_any;

}  // namespace holdfast
