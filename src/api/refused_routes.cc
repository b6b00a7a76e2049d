#include "api/refused_routes.h"

#include <fmt/format.h>

#include "protocol/snapshot_api.h"

namespace holdfast {

std::vector<Route> RefusedClusterRoutes(std::string_view distribution, const std::string& reason) {
  const Status why =
      WithHint(UnimplementedError(
                   "{}: it has no nodes to join, list or remove, and its token stays", reason),
               "What works with it: etcd-snapshot save, ls, prune, delete and status, restore "
               "--datastore-endpoint, and datastore status and migrate.");
  const auto refuse = [why](const ApiRequest&, LineStream&) -> ApiResponse {
    return {.code = HttpCodeOf(why), .content_type = kJsonType, .body = EncodeError(why)};
  };
  std::vector<Route> routes = {{"GET", "/db/info", Route::Access::kServer, refuse}};
  for (const auto& [method, what] : {std::pair("GET", "server-bootstrap"),
                                     {"GET", "config"},
                                     {"GET", "nodes"},
                                     {"POST", "nodes"},
                                     {"DELETE", "nodes"},
                                     {"POST", "client-certificate"},
                                     {"PUT", "token"}}) {
    routes.push_back(
        {method, fmt::format("/v1-{}/{}", distribution, what), Route::Access::kAgent, refuse});
  }
  return routes;
}

}  // namespace holdfast
