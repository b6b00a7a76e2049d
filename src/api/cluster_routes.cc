#include "api/cluster_routes.h"

#include <fmt/format.h>

#include "protocol/snapshot_api.h"

namespace holdfast {
namespace {

ApiResponse Json(StatusOr<std::string> body) {
  if (body.ok()) return {.content_type = kJsonType, .body = *std::move(body)};
  return {.code = HttpCodeOf(body.status()),
          .content_type = kJsonType,
          .body = EncodeError(body.status())};
}

// An empty object says that it was done.
ApiResponse Done(const Status& status) {
  return Json(status.ok() ? StatusOr<std::string>("{}\n") : StatusOr<std::string>(status));
}

StatusOr<std::string> InfoJson(ClusterBackend& backend) {
  ASSIGN_OR_RETURN(const ClusterInfo info, backend.Info());
  return info.Encode();
}

StatusOr<std::string> LineageJson(ClusterBackend& backend) {
  ASSIGN_OR_RETURN(const ClusterInfo info, backend.Info());
  return info.LineageOnly().Encode();
}

StatusOr<std::string> BootstrapJson(ClusterBackend& backend) {
  ASSIGN_OR_RETURN(const Secret bootstrap, backend.Bootstrap());
  return bootstrap.reveal();
}

StatusOr<std::string> NodesJson(ClusterBackend& backend) {
  ASSIGN_OR_RETURN(const auto nodes, backend.Nodes());
  return EncodeNodes(nodes);
}

StatusOr<std::string> ServersJson(ClusterBackend& backend) {
  ASSIGN_OR_RETURN(const ServerList servers, backend.Servers());
  return servers.Encode();
}

Status KeepAlive(ClusterBackend& backend, const std::string& body) {
  ASSIGN_OR_RETURN(const NodeRecord node, NodeRecord::Decode(body));
  // Servers register themselves, in the datastore; an agent's password must not make one.
  if (node.role != kAgentRole)
    return PermissionDeniedError("only agents register here, {} says it is a {}", node.name,
                                 node.role);
  return backend.KeepAlive(node);
}

Status Remove(ClusterBackend& backend, const std::string& body) {
  ASSIGN_OR_RETURN(const NodeRemoval removal, NodeRemoval::Decode(body));
  return backend.RemoveNode(removal);
}

StatusOr<std::string> CertificateJson(ClusterBackend& backend, const std::string& body) {
  ASSIGN_OR_RETURN(const std::string node, DecodeNodeName(body));
  ASSIGN_OR_RETURN(const ClientCertificate pair, backend.MakeClientCertificate(node));
  return pair.Encode();
}

Status RotateToken(ClusterBackend& backend, const std::string& body) {
  ASSIGN_OR_RETURN(const Secret token, DecodeNewToken(body));
  return backend.RotateToken(token);
}

}  // namespace

std::vector<Route> ClusterRoutes(ClusterBackend& backend, std::string_view distribution) {
  using Access = Route::Access;
  ClusterBackend* b = &backend;
  const auto v1 = [&](std::string_view what) {
    return fmt::format("/v1-{}/{}", distribution, what);
  };
  const auto answer = [](auto make) {
    return [make](const ApiRequest& request, LineStream&) -> ApiResponse { return make(request); };
  };
  using Request = const ApiRequest&;
  return {
      {"GET", "/db/info", Access::kServer, answer([b](Request) { return Json(InfoJson(*b)); })},
      {"GET", v1("lineage"), Access::kAnyone,
       answer([b](Request) { return Json(LineageJson(*b)); })},
      {"GET", v1("server-bootstrap"), Access::kServer,
       answer([b](Request) { return Json(BootstrapJson(*b)); })},
      {"GET", v1("config"), Access::kServer,
       answer([b](Request) { return Json(b->Config().Encode()); })},
      {"GET", v1("node"), Access::kServer,
       answer([b](Request) { return Json(b->Self().Encode()); })},
      {"GET", v1("nodes"), Access::kAgent, answer([b](Request) { return Json(NodesJson(*b)); })},
      {"GET", v1("servers"), Access::kAgent, answer([b](Request) { return Json(ServersJson(*b)); }),
       /*at_once=*/true},
      {"POST", v1("nodes"), Access::kAgent,
       answer([b](Request request) { return Done(KeepAlive(*b, request.body)); })},
      {"DELETE", v1("nodes"), Access::kServer,
       answer([b](Request request) { return Done(Remove(*b, request.body)); })},
      {"POST", v1("client-certificate"), Access::kAgent,
       answer([b](Request request) { return Json(CertificateJson(*b, request.body)); })},
      {"PUT", v1("token"), Access::kServer,
       answer([b](Request request) { return Done(RotateToken(*b, request.body)); })},
  };
}

}  // namespace holdfast
