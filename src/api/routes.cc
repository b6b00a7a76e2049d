#include "api/routes.h"

#include <pthread.h>

#include <chrono>
#include <optional>
#include <thread>

#include "base/mutex.h"

namespace holdfast {
namespace {

// A progress line at most so often.
constexpr auto kProgressInterval = std::chrono::milliseconds(200);

ApiResponse Text(std::string body) { return {.body = std::move(body)}; }

ApiResponse HealthResponse(const Status& status) {
  if (status.ok()) return Text("ok");
  return {.code = 503, .body = MessageOf(status) + "\n"};
}

// Turns progress calls into lines, not too many of them; and says the last one again, on a thread of its own, when nothing
// was said for a while.
class ProgressLines {
 public:
  ProgressLines(LineStream& lines, absl::Duration heartbeat)
      : lines_(lines), thread_([this, heartbeat](std::stop_token stop) {
          ::pthread_setname_np(::pthread_self(), "api-heartbeat");
          Beat(stop, absl::ToChronoNanoseconds(heartbeat));
        }) {}

  void operator()(const Progress& progress) {
    const auto now = std::chrono::steady_clock::now();
    const MutexLock lock(mutex_);
    last_ = progress;
    if (now - last_at_ >= kProgressInterval) Send(now);
  }

  // No more lines come. True if there were any.
  bool End() {
    thread_.request_stop();
    thread_.join();
    const MutexLock lock(mutex_);
    return sent_ > 0;
  }

 private:
  void Send(std::chrono::steady_clock::time_point now) HF_REQUIRES(mutex_) {
    last_at_ = now;
    ++sent_;
    lines_.Send(EncodeProgressLine(last_));
  }

  void Beat(const std::stop_token& stop, std::chrono::nanoseconds interval) {
    const MutexLock lock(mutex_);
    while (!stop.stop_requested()) {
      const std::size_t before = sent_;
      changed_.wait_for(mutex_, stop, interval, [] { return false; });
      if (!stop.stop_requested() && sent_ == before) Send(std::chrono::steady_clock::now());
    }
  }

  LineStream& lines_;
  Mutex mutex_;
  ConditionVariable changed_;  // nothing notifies: it waits for a time, or the stop
  Progress last_ HF_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point last_at_ HF_GUARDED_BY(mutex_);
  std::size_t sent_ HF_GUARDED_BY(mutex_) = 0;
  std::jthread thread_;  // last: it uses the others
};

StatusOr<std::string> RunSnapshotOperation(
    ApiBackend& backend, const SnapshotRequest& request, std::string_view label_domain,
    const std::function<void(const Progress&)>& on_progress) {
  if (request.operation == "list") {
    ASSIGN_OR_RETURN(const SnapshotListing list, backend.ListSnapshots(request));
    return EncodeSnapshotList(list, label_domain);
  }
  StatusOr<SnapshotResult> result = InvalidArgumentError(
      "operation \"{}\" is not one of save, list, prune, delete", request.operation);
  if (request.operation == "save") result = backend.SaveSnapshot(request, on_progress);
  if (request.operation == "prune") result = backend.PruneSnapshots(request);
  if (request.operation == "delete") result = backend.DeleteSnapshots(request);
  RETURN_IF_ERROR(result.status());
  return result->Encode();
}

ApiResponse SnapshotResponse(ApiBackend& backend, std::string_view label_domain,
                             absl::Duration heartbeat, const ApiRequest& request,
                             LineStream& lines) {
  const bool as_lines = request.accept.find(kLinesType) != std::string::npos;
  std::optional<ProgressLines> progress;
  if (as_lines) progress.emplace(lines, heartbeat);
  const auto on_progress = [&](const Progress& p) {
    if (progress) (*progress)(p);
  };
  StatusOr<std::string> result = InternalError("not done");
  if (const auto call = SnapshotRequest::Decode(request.body); call.ok()) {
    result = RunSnapshotOperation(backend, *call, label_domain, on_progress);
  } else {
    result = call.status();
  }
  const bool sent = progress && progress->End();
  if (!result.ok()) {
    // Once lines have gone out, the code has too: 200. The error is the last line then.
    if (sent) return {.content_type = kLinesType, .body = EncodeErrorLine(result.status())};
    return {.code = HttpCodeOf(result.status()),
            .content_type = kJsonType,
            .body = EncodeError(result.status())};
  }
  if (as_lines) return {.content_type = kLinesType, .body = EncodeResultLine(*result)};
  return {.content_type = kJsonType, .body = *std::move(result)};
}

}  // namespace

std::vector<Route> SupervisorRoutes(ApiBackend& backend, std::string_view label_domain,
                                    absl::Duration heartbeat) {
  using Access = Route::Access;
  const auto simple = [](auto make) {
    return [make](const ApiRequest&, LineStream&) -> ApiResponse { return make(); };
  };
  constexpr bool kAtOnce = true;
  ApiBackend* b = &backend;
  return {
      {"GET", "/cacerts", Access::kAnyone, simple([b] { return Text(b->CaCertificates()); })},
      {"GET", "/ping", Access::kAnyone, simple([] { return Text("pong"); }), kAtOnce},
      {"GET", "/readyz", Access::kAnyone, simple([b] { return HealthResponse(b->Ready()); }),
       kAtOnce},
      {"GET", "/livez", Access::kAnyone, simple([b] { return HealthResponse(b->Live()); }),
       kAtOnce},
      {"GET", "/metrics", Access::kAgent, simple([b] {
         return ApiResponse{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                            .body = b->MetricsPage()};
       }),
       kAtOnce},
      {"POST", "/db/snapshot", Access::kServer,
       [b, domain = std::string(label_domain), heartbeat](const ApiRequest& request,
                                                          LineStream& lines) {
         return SnapshotResponse(*b, domain, heartbeat, request, lines);
       }},
  };
}

}  // namespace holdfast
