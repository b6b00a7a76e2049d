// --datastore-endpoint of an etcd: `https://h1:2379,https://h2:2379`, http as well, with etcd's own user in front of a host:
// `https://user:password@h1:2379,...` (special characters as %XX; one user for all).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/redacted.h"
#include "base/status.h"

namespace holdfast {

struct EtcdEndpoint {
  std::string address;  // "h1:2379"
  bool tls = false;
};

struct EtcdEndpoints {
  std::vector<EtcdEndpoint> list;  // at least one
  std::string user;
  Secret password;

  // For people: as given, without user and password.
  std::string Location() const;
};

// kInvalidArgument says what is not understood, without the password.
StatusOr<EtcdEndpoints> ParseEtcdEndpoints(const Secret& text);

// The same error with what an operator can do about it, if it is one that etcd or TLS gives to who is not let in.
Status ExplainRefusal(const Status& status);

}  // namespace holdfast
