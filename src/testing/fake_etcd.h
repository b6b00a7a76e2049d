// An etcd that answers with what a test puts here: a status, and a snapshot stream that may break.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "etcd/client.h"

namespace holdfast::testing {

class FakeEtcd final : public etcd::Client {
 public:
  etcd::MemberStatus status{
      .version = "3.5.16", .cluster_id = 0xc1, .member_id = 0xa1, .leader = 0xa1, .revision = 3};
  std::string snapshot;                        // what streams: WithDigest(...)
  std::size_t piece = 1000;                    // bytes a Read gives at most
  std::size_t breaks_after = ~std::size_t{0};  // bytes, then `broken` instead of more
  Status broken = UnavailableError("the connection was lost");
  std::function<void()> before_read;  // may wait, or stop something

  StatusOr<etcd::MemberStatus> GetStatus() override { return status; }
  StatusOr<std::unique_ptr<etcd::SnapshotStream>> Snapshot(absl::Duration,
                                                           std::stop_token) override {
    return std::make_unique<Stream>(*this);
  }

  StatusOr<std::vector<etcd::MemberInfo>> ListMembers() override { return Unused(); }
  Status UpdateMember(std::uint64_t, const std::vector<std::string>&) override { return Unused(); }
  StatusOr<std::vector<etcd::Alarm>> ListAlarms() override { return Unused(); }
  Status DisarmAlarm(const etcd::Alarm&) override { return Unused(); }
  Status Defragment() override { return Unused(); }
  StatusOr<etcd::KeyRecord> Get(const std::string&) override { return Unused(); }
  StatusOr<std::vector<etcd::KeyRecord>> GetPrefix(const std::string&) override { return Unused(); }
  Status Put(const std::string&, const std::string&) override { return Unused(); }
  Status Create(const std::string&, const std::string&) override { return Unused(); }

 private:
  static Status Unused() { return UnimplementedError("the fake etcd does not do this"); }

  class Stream final : public etcd::SnapshotStream {
   public:
    explicit Stream(FakeEtcd& etcd) : etcd_(etcd) {}
    std::uint64_t bytes_total() const override { return etcd_.snapshot.size(); }
    StatusOr<std::size_t> Read(MutableByteSpan out) override {
      if (etcd_.before_read) etcd_.before_read();
      if (position_ >= etcd_.breaks_after) return etcd_.broken;
      const std::size_t n = std::min({out.size(), etcd_.piece, etcd_.snapshot.size() - position_,
                                      etcd_.breaks_after - position_});
      std::copy_n(BytesOf(etcd_.snapshot).begin() + static_cast<std::ptrdiff_t>(position_), n,
                  out.begin());
      position_ += n;
      return n;
    }

   private:
    FakeEtcd& etcd_;
    std::size_t position_ = 0;
  };
};

}  // namespace holdfast::testing
