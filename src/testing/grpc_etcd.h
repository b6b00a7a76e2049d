// An etcd that speaks gRPC and misbehaves as it is told; for the tests of the client and of what uses it.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "etcd/client.h"
#include "proto/etcd.grpc.pb.h"

namespace holdfast::testing {

class GrpcEtcd final : public ::etcdserverpb::Maintenance::Service,
                       public ::etcdserverpb::KV::Service,
                       public ::etcdserverpb::Lease::Service,
                       public ::etcdserverpb::Auth::Service,
                       public ::etcdserverpb::Cluster::Service {
 public:
  using Writer = grpc::ServerWriter<::etcdserverpb::SnapshotResponse>;

  GrpcEtcd() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<::etcdserverpb::Maintenance::Service*>(this));
    builder.RegisterService(static_cast<::etcdserverpb::KV::Service*>(this));
    builder.RegisterService(static_cast<::etcdserverpb::Lease::Service*>(this));
    builder.RegisterService(static_cast<::etcdserverpb::Cluster::Service*>(this));
    builder.RegisterService(static_cast<::etcdserverpb::Auth::Service*>(this));
    server_ = builder.BuildAndStart();
  }
  ~GrpcEtcd() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::unique_ptr<etcd::Client> ConnectAs(const char* user, const char* password_given) const {
    return etcd::Connect({.endpoint = endpoint(),
                          .tls = false,
                          .user = user,
                          .password = Secret(password_given),
                          .call_timeout = absl::Seconds(20)})
        .value();
  }
  std::unique_ptr<etcd::Client> Connect(absl::Duration call_timeout = absl::Seconds(20)) const {
    return etcd::Connect({.endpoint = endpoint(), .tls = false, .call_timeout = call_timeout})
        .value();
  }

  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

  static void Send(Writer& writer, const std::string& blob, std::uint64_t remaining) {
    ::etcdserverpb::SnapshotResponse message;
    message.set_blob(blob);
    message.set_remaining_bytes(remaining);
    writer.Write(message);
  }
  // Until the client has cancelled.
  static void Stall(grpc::ServerContext& context) {
    while (!context.IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  grpc::Status Snapshot(grpc::ServerContext* context, const ::etcdserverpb::SnapshotRequest*,
                        Writer* writer) override {
    const auto handler =
        snapshot;  // the test may set the next one while this one has not noticed its end yet
    return handler(*context, *writer);
  }
  grpc::Status Status(grpc::ServerContext* context, const ::etcdserverpb::StatusRequest*,
                      ::etcdserverpb::StatusResponse* reply) override {
    if (hang) Stall(*context);
    *reply = status;
    return grpc::Status::OK;
  }
  grpc::Status Alarm(grpc::ServerContext*, const ::etcdserverpb::AlarmRequest* request,
                     ::etcdserverpb::AlarmResponse* reply) override {
    if (!alarm_error.empty()) return {grpc::StatusCode::UNKNOWN, alarm_error};
    if (request->action() == ::etcdserverpb::AlarmRequest::DEACTIVATE) {
      auto* all = alarms.mutable_alarms();
      all->erase(std::remove_if(all->begin(), all->end(),
                                [&](const auto& a) { return a.alarm() == request->alarm(); }),
                 all->end());
    }
    *reply = alarms;
    return grpc::Status::OK;
  }
  grpc::Status Defragment(grpc::ServerContext*, const ::etcdserverpb::DefragmentRequest*,
                          ::etcdserverpb::DefragmentResponse*) override {
    ++defragmented;
    return grpc::Status::OK;
  }
  grpc::Status Range(grpc::ServerContext*, const ::etcdserverpb::RangeRequest* request,
                     ::etcdserverpb::RangeResponse* reply) override {
    const bool to_the_end = request->range_end() == std::string(1, '\0');
    for (const auto& [key, value] : data) {
      const bool hit = request->range_end().empty()
                           ? key == request->key()
                           : key >= request->key() && (to_the_end || key < request->range_end());
      if (!hit) continue;
      reply->set_count(reply->count() + 1);
      if (request->limit() > 0 && reply->kvs_size() == request->limit()) {
        reply->set_more(true);
        continue;
      }
      auto* kv = reply->add_kvs();
      kv->set_key(key);
      if (!request->keys_only()) kv->set_value(value);
      kv->set_lease(7);
    }
    reply->mutable_header()->set_revision(12);
    return grpc::Status::OK;
  }
  grpc::Status Txn(grpc::ServerContext*, const ::etcdserverpb::TxnRequest* request,
                   ::etcdserverpb::TxnResponse* reply) override {
    if (request->compare_size() == 0) {
      for (const auto& op : request->success()) {
        if (op.has_request_put()) data[op.request_put().key()] = op.request_put().value();
        if (op.has_request_delete_range()) data.erase(op.request_delete_range().key());
      }
      return grpc::Status::OK;
    }
    const auto& put = request->success(0).request_put();
    reply->set_succeeded(data.emplace(put.key(), put.value()).second);
    return grpc::Status::OK;
  }
  grpc::Status HashKV(grpc::ServerContext* context, const ::etcdserverpb::HashKVRequest* request,
                      ::etcdserverpb::HashKVResponse* reply) override {
    if (!password.empty()) {
      const auto token = context->client_metadata().find("token");
      if (token == context->client_metadata().end())
        return {grpc::StatusCode::INVALID_ARGUMENT, "etcdserver: user name is empty"};
      if (token->second != "token-" + std::to_string(logins))
        return {grpc::StatusCode::UNAUTHENTICATED, "etcdserver: invalid auth token"};
    }
    if (request->revision() > 12) {
      return {grpc::StatusCode::OUT_OF_RANGE,
              "etcdserver: mvcc: required revision is a future revision"};
    }
    reply->set_hash(4'000'000'000);
    reply->set_compact_revision(3);
    return grpc::Status::OK;
  }
  grpc::Status Authenticate(grpc::ServerContext*,
                            const ::etcdserverpb::AuthenticateRequest* request,
                            ::etcdserverpb::AuthenticateResponse* reply) override {
    ++logins;
    if (password.empty()) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "etcdserver: authentication is not enabled"};
    }
    if (request->name() != "root" || request->password() != password) {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "etcdserver: authentication failed, invalid user ID or password"};
    }
    reply->set_token("token-" + std::to_string(logins));
    return grpc::Status::OK;
  }

  grpc::Status Put(grpc::ServerContext*, const ::etcdserverpb::PutRequest* request,
                   ::etcdserverpb::PutResponse*) override {
    data[request->key()] = request->value();
    if (request->lease() != 0) leases.at(request->lease()).push_back(request->key());
    return grpc::Status::OK;
  }
  grpc::Status DeleteRange(grpc::ServerContext*, const ::etcdserverpb::DeleteRangeRequest* request,
                           ::etcdserverpb::DeleteRangeResponse*) override {
    data.erase(request->key());
    return grpc::Status::OK;
  }
  grpc::Status LeaseGrant(grpc::ServerContext*, const ::etcdserverpb::LeaseGrantRequest* request,
                          ::etcdserverpb::LeaseGrantResponse* reply) override {
    leases[request->ttl()];
    reply->set_id(request->ttl());
    return grpc::Status::OK;
  }
  grpc::Status LeaseKeepAlive(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<::etcdserverpb::LeaseKeepAliveResponse,
                               ::etcdserverpb::LeaseKeepAliveRequest>* stream) override {
    ::etcdserverpb::LeaseKeepAliveRequest request;
    while (stream->Read(&request)) {  // as etcd, it waits for the next one
      if (hang) Stall(*context);
      ::etcdserverpb::LeaseKeepAliveResponse reply;
      reply.set_id(request.id());
      reply.set_ttl(leases.contains(request.id()) ? request.id() : 0);
      stream->Write(reply);
    }
    return grpc::Status::OK;
  }
  grpc::Status MemberAdd(grpc::ServerContext*, const ::etcdserverpb::MemberAddRequest* request,
                         ::etcdserverpb::MemberAddResponse* reply) override {
    if (!refusal.ok()) return refusal;
    ::etcdserverpb::Member* member = members.add_members();
    member->set_id(0xb2);
    member->set_islearner(request->islearner());
    *member->mutable_peerurls() = request->peerurls();
    *reply->mutable_member() = *member;
    *reply->mutable_members() = members.members();
    return grpc::Status::OK;
  }
  grpc::Status MemberPromote(grpc::ServerContext*,
                             const ::etcdserverpb::MemberPromoteRequest* request,
                             ::etcdserverpb::MemberPromoteResponse*) override {
    asked = fmt::format("promote {:x}", request->id());
    return refusal;
  }
  grpc::Status MemberRemove(grpc::ServerContext*,
                            const ::etcdserverpb::MemberRemoveRequest* request,
                            ::etcdserverpb::MemberRemoveResponse*) override {
    asked = fmt::format("remove {:x}", request->id());
    return refusal;
  }
  grpc::Status MoveLeader(grpc::ServerContext*, const ::etcdserverpb::MoveLeaderRequest* request,
                          ::etcdserverpb::MoveLeaderResponse*) override {
    asked = fmt::format("move leader to {:x}", request->targetid());
    return refusal;
  }

  std::function<grpc::Status(grpc::ServerContext&, Writer&)> snapshot;
  ::etcdserverpb::MemberListResponse members;
  grpc::Status refusal;  // of what changes members
  std::string asked;
  std::map<std::int64_t, std::vector<std::string>> leases;
  ::etcdserverpb::StatusResponse status;
  ::etcdserverpb::AlarmResponse alarms;
  std::string alarm_error;
  std::map<std::string, std::string> data;
  std::string password;  // of root; empty: no authentication
  int logins = 0;
  std::atomic<bool> hang = false;
  std::atomic<int> defragmented = 0;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace holdfast::testing
