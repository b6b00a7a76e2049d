// Who is in an etcd cluster, as etcd derives it from the words an operator gives: ids, and the forms in which the
// membership is stored in a data directory.
// Source: etcd server/etcdserver/api/membership/{member,cluster,storev2}.go (v3.4 to v3.6).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace holdfast {

struct Member {
  std::uint64_t id = 0;
  std::string name;
  std::vector<std::string> peer_urls;  // sorted

  // `{"id":1,"peerURLs":["https://10.0.0.1:2380"],"name":"n1"}` as Go's encoder writes it.
  std::string Json() const;
};

struct Membership {
  std::uint64_t cluster_id = 0;
  std::vector<Member> members;  // ascending id

  // `{"voters":[1,2],"auto_leave":false}`
  std::string ConfStateJson() const;
};

// Parses "n1=https://10.0.0.1:2380,n2=..." (a name may come again with another URL). The token is part of every id.
// kInvalidArgument names what is wrong: no members, a URL that etcd would not take, two members with the same id.
StatusOr<Membership> ParseInitialCluster(std::string_view initial_cluster,
                                         std::string_view cluster_token);

// Lower-case hex without leading zeros: how etcd prints and stores ids.
std::string MemberIdText(std::uint64_t id);

// kInvalidArgument unless http, https, unix or unixs with host:port and no path.
Status CheckPeerUrl(std::string_view url);

// A string as Go's encoding/json writes it, in quotes.
std::string GoJsonString(std::string_view text);

}  // namespace holdfast
