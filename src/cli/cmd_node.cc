#include <fmt/format.h>

#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/server_connection.h"
#include "cli/table.h"

namespace holdfast {
namespace {

// "3d4h", "12m", "5s": the two largest units, as people read an age.
std::string AgeText(absl::Duration age) {
  struct Unit {
    absl::Duration length;
    char letter;
  };
  constexpr Unit kUnits[] = {{absl::Hours(24), 'd'},
                             {absl::Hours(1), 'h'},
                             {absl::Minutes(1), 'm'},
                             {absl::Seconds(1), 's'}};
  std::string out;
  int parts = 0;
  for (const Unit& unit : kUnits) {
    const std::int64_t count = absl::IDivDuration(age, unit.length, &age);
    if (count > 0) out += fmt::format("{}{}", count, unit.letter);
    if (count > 0 || parts > 0) ++parts;
    if (parts == 2) break;
  }
  return out.empty() ? "0s" : out;
}

std::vector<std::string> Row(const NodeStatus& n, const CommandContext& context) {
  const bool has_member = !n.member_id.empty();
  const bool has_numbers = has_member && n.revision > 0;
  return {n.node.name,
          n.node.role,
          n.ready ? "Ready" : "NotReady",
          n.node.created == absl::UnixEpoch() ? "-" : AgeText(context.host.now - n.node.created),
          n.node.address.empty() ? "-" : n.node.address,
          has_member ? n.member_id : "-",
          !has_member    ? "-"
          : n.is_learner ? "learner"
          : n.is_leader  ? "leader"
                         : "voter",
          has_numbers ? FormatBytes(n.db_bytes) : "-",
          has_numbers ? fmt::format("{}", n.revision) : "-",
          n.last_snapshot ? FormatRfc3339(*n.last_snapshot, context.host.zone) : "-"};
}

Status List(const CommandContext& context) {
  RETURN_IF_ERROR(ExpectNoPositionals(context));
  const std::string output = context.settings.Text("output");
  if (output != "table" && output != "json" && output != "yaml")
    return InvalidArgumentError("invalid output format: {}", output);
  const auto http = MakeHttpClient();
  ASSIGN_OR_RETURN(SupervisorClient client, ConnectToServer(context, *http));
  ASSIGN_OR_RETURN(const auto nodes, client.Nodes(context.distribution.name));
  if (output == "json") {
    std::fputs(EncodeNodes(nodes).c_str(), stdout);
  } else if (output == "yaml") {
    std::fputs(JsonToYaml(EncodeNodes(nodes)).c_str(), stdout);
  } else {
    std::vector<std::vector<std::string>> rows = {{"Name", "Role", "Status", "Age", "Address",
                                                   "Member", "Etcd", "Size", "Revision",
                                                   "Last snapshot"}};
    for (const NodeStatus& node : nodes) rows.push_back(Row(node, context));
    std::fputs(FormatTable(rows).c_str(), stdout);
    for (const NodeStatus& node : nodes) {
      if (!node.ready) LogWarn("{} is not ready: {}", node.node.name, node.reason);
    }
  }
  return OkStatus();
}

Status Remove(const CommandContext& context) {
  if (context.positionals.size() != 1)
    return InvalidArgumentError("expected one argument, the node's name; found {}",
                                context.positionals.size());
  NodeRemoval removal{.name = ToLower(context.positionals[0])};
  ASSIGN_OR_RETURN(removal.force, context.settings.Bool("force"));
  const auto http = MakeHttpClient();
  ASSIGN_OR_RETURN(SupervisorClient client, ConnectToServer(context, *http));
  client.SetPatience(absl::Minutes(5));
  RETURN_IF_ERROR(client.RemoveNode(context.distribution.name, removal));
  LogInfo("Node {} was removed from the cluster.", removal.name);
  return OkStatus();
}

}  // namespace

Status RunNodeCommand(const CommandContext& context) {
  return context.settings.command() == kNodeList ? List(context) : Remove(context);
}

}  // namespace holdfast
