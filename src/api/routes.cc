#include "api/routes.h"

#include <atomic>
#include <chrono>

namespace holdfast {
namespace {

// A progress line at most so often.
constexpr auto kProgressInterval = std::chrono::milliseconds(200);

ApiResponse Text(std::string body) { return {.body = std::move(body)}; }

ApiResponse HealthResponse(const Status& status) {
  if (status.ok()) return Text("ok");
  return {.code = 503, .body = MessageOf(status) + "\n"};
}

// Turns progress calls into lines, not too many of them.
class ProgressLines {
 public:
  ProgressLines(LineStream& lines, bool wanted) : lines_(lines), wanted_(wanted) {}

  void operator()(const Progress& progress) {
    const auto now = std::chrono::steady_clock::now();
    if (!wanted_ || now - last_ < kProgressInterval) return;
    last_ = now;
    sent_ = true;
    lines_.Send(EncodeProgressLine(progress));
  }
  bool sent() const { return sent_; }

 private:
  LineStream& lines_;
  const bool wanted_;
  bool sent_ = false;
  std::chrono::steady_clock::time_point last_{};
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
                             const ApiRequest& request, LineStream& lines) {
  const bool as_lines = request.accept.find(kLinesType) != std::string::npos;
  ProgressLines progress(lines, as_lines);
  StatusOr<std::string> result = InternalError("not done");
  if (const auto call = SnapshotRequest::Decode(request.body); call.ok()) {
    result = RunSnapshotOperation(backend, *call, label_domain, std::ref(progress));
  } else {
    result = call.status();
  }
  if (!result.ok()) {
    // Once lines have gone out, the code has too: 200. The error is the last line then.
    if (progress.sent())
      return {.content_type = kLinesType, .body = EncodeErrorLine(result.status())};
    return {.code = HttpCodeOf(result.status()),
            .content_type = kJsonType,
            .body = EncodeError(result.status())};
  }
  if (as_lines) return {.content_type = kLinesType, .body = EncodeResultLine(*result)};
  return {.content_type = kJsonType, .body = *std::move(result)};
}

}  // namespace

std::vector<Route> SupervisorRoutes(ApiBackend& backend, std::string_view label_domain) {
  using Access = Route::Access;
  const auto simple = [](auto make) {
    return [make](const ApiRequest&, LineStream&) -> ApiResponse { return make(); };
  };
  ApiBackend* b = &backend;
  return {
      {"GET", "/cacerts", Access::kAnyone, simple([b] { return Text(b->CaCertificates()); })},
      {"GET", "/ping", Access::kAnyone, simple([] { return Text("pong"); })},
      {"GET", "/readyz", Access::kAnyone, simple([b] { return HealthResponse(b->Ready()); })},
      {"GET", "/livez", Access::kAnyone, simple([b] { return HealthResponse(b->Live()); })},
      {"GET", "/metrics", Access::kAgent, simple([b] {
         return ApiResponse{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                            .body = b->MetricsPage()};
       })},
      {"POST", "/db/snapshot", Access::kServer,
       [b, domain = std::string(label_domain)](const ApiRequest& request, LineStream& lines) {
         return SnapshotResponse(*b, domain, request, lines);
       }},
  };
}

}  // namespace holdfast
