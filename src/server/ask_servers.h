// Asks several servers at the same time, each with a client and a deadline of its own.
#pragma once

#include <thread>
#include <vector>

#include "server/cluster_entry.h"
#include "supervisor_client/supervisor_client.h"

namespace holdfast {

// How long a server may say nothing.
inline constexpr absl::Duration kPeerPatience = absl::Seconds(2);

// `ask(client, i)` is called on a thread of its own for each server, with a client to it.
template <typename Ask>
void AskServers(const ClusterSetup& setup, const std::vector<KnownServer>& servers,
                const SupervisorAccess& access, const Ask& ask) {
  std::vector<std::jthread> threads;
  threads.reserve(servers.size());
  for (std::size_t i = 0; i < servers.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto http = setup.make_http();
      SupervisorClient client(*http, servers[i].url, access);
      client.SetPatience(kPeerPatience);
      ask(client, i);
    });
  }
}

inline std::vector<PeerAnswer> AskForInfo(const ClusterSetup& setup,
                                          const std::vector<KnownServer>& servers,
                                          const SupervisorAccess& access) {
  std::vector<PeerAnswer> answers;
  for (const KnownServer& server : servers)
    answers.push_back({.server = server, .info = UnavailableError("not asked")});
  AskServers(setup, servers, access, [&](SupervisorClient& client, std::size_t i) {
    PeerAnswer& answer = answers[i];
    answer.info = client.Info();
    answer.other_token = absl::IsUnauthenticated(answer.info.status());
    if (!answer.other_token) return;
    answer.info = client.Lineage(setup.distribution.name);
    if (answer.info.ok()) answer.info->node_name = answer.server.name;
  });
  return answers;
}

}  // namespace holdfast
