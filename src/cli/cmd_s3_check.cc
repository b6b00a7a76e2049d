#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "ops/s3.h"
#include "os/system_clock.h"

namespace holdfast {

std::string S3CheckJson(const std::vector<S3CheckStep>& steps) {
  auto json = nlohmann::ordered_json::array();
  for (const S3CheckStep& step : steps) {
    json.push_back({{"what", step.what}, {"ok", step.status.ok()}, {"needs", step.needs}});
    if (!step.detail.empty()) json.back()["detail"] = step.detail;
    if (!step.status.ok()) json.back()["error"] = MessageOf(step.status);
  }
  // What a server said need not be UTF-8.
  return json.dump(4, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string S3CheckTable(const std::vector<S3CheckStep>& steps) {
  std::vector<std::vector<std::string>> rows = {{"CHECK", "RESULT", "NEEDS", "DETAIL"}};
  for (const S3CheckStep& step : steps) {
    rows.push_back({step.what, step.status.ok() ? "ok" : "FAILED",
                    step.needs.empty() ? "-" : step.needs,
                    step.status.ok() ? step.detail : MessageOf(step.status)});
  }
  return FormatTable(rows);
}

Status S3CheckResult(const std::vector<S3CheckStep>& steps) {
  std::vector<std::string> failed;
  Status first;
  for (const S3CheckStep& step : steps) {
    if (step.status.ok()) continue;
    if (first.ok()) first = step.status;
    failed.push_back(step.what);
  }
  if (first.ok()) return OkStatus();
  const Status status =
      MakeStatus(first.code(), fmt::format("{} of {} S3 checks failed: {}", failed.size(),
                                           steps.size(), Join(failed, ", ")));
  return HintOf(first).empty() ? status : WithHint(status, HintOf(first));
}

Status RunS3CheckCommand(const CommandContext& context) {
  RETURN_IF_ERROR(ExpectNoPositionals(context));
  const std::string output = context.settings.Text("output");
  RETURN_IF_ERROR(CheckOutputFormat(output));
  ASSIGN_OR_RETURN(const S3Settings s3, ReadS3Settings(context.settings, context.distribution,
                                                       context.host.working_directory));
  const std::vector<S3CheckStep> steps =
      CheckS3Folder(PosixFileSystem(), SystemClock(), SystemRandom(), s3.options, context.stop);
  if (output == "table") {
    std::fputs(S3CheckTable(steps).c_str(), stdout);
  } else {
    const std::string json = S3CheckJson(steps);
    std::fputs((output == "json" ? json : JsonToYaml(json)).c_str(), stdout);
  }
  return S3CheckResult(steps);
}

}  // namespace holdfast
