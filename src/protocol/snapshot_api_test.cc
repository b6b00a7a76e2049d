#include "protocol/snapshot_api.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(SnapshotApi, RequestIsRke2sAndComesBack) {
  const SnapshotRequest request{.operation = "save",
                                .names = {"on-demand"},
                                .directory = "/s",
                                .compress = true,
                                .retention = 3};
  EXPECT_EQ(
      request.Encode(),
      R"({"operation":"save","name":["on-demand"],"dir":"/s","compress":true,"retention":3})");
  const SnapshotRequest back = SnapshotRequest::Decode(request.Encode()).value();
  EXPECT_EQ(back.directory, "/s");
  EXPECT_EQ(back.retention, 3);
  EXPECT_FALSE(SnapshotRequest::Decode(R"({"operation":"list","name":null,"dir":null})")
                   ->directory.has_value());
}

TEST(SnapshotApi, BadRequestsAreNamed) {
  const auto message = [](std::string_view json) {
    return MessageOf(SnapshotRequest::Decode(json).status());
  };
  EXPECT_EQ(message("["), "the request is not a JSON object");
  EXPECT_EQ(message(R"({"retention":"3"})"), "\"retention\" is not a whole number");
  EXPECT_EQ(message(R"({"dir":3})"), "\"dir\" is not a string");
  EXPECT_EQ(message(R"({"s3":{}})"), "failed to initialize S3 client: S3 is not in this version");
}

TEST(SnapshotApi, ListHasTheShapeThatScriptsKnow) {
  const SnapshotRecord record{.name = "on-demand n-1",
                              .node_name = "n",
                              .location = "file:///s/x",
                              .bytes = 5988384,
                              .created_at = absl::FromUnixSeconds(1753178523),
                              .token_hash = "2bb80d537b1d",
                              .metadata = {{"a", "b"}}};
  EXPECT_EQ(EncodeSnapshotList({record}, "etcd.rke2.cattle.io"), R"({
    "kind": "List",
    "apiVersion": "v1",
    "metadata": {},
    "items": [
        {
            "kind": "ETCDSnapshotFile",
            "apiVersion": "k3s.cattle.io/v1",
            "metadata": {
                "name": "local-on-demand_n-1",
                "labels": {
                    "etcd.rke2.cattle.io/snapshot-storage-node": "n"
                },
                "annotations": {
                    "etcd.rke2.cattle.io/snapshot-token-hash": "2bb80d537b1d"
                }
            },
            "spec": {
                "snapshotName": "on-demand n-1",
                "nodeName": "n",
                "location": "file:///s/x",
                "metadata": {
                    "a": "b"
                }
            },
            "status": {
                "size": "5988384",
                "creationTime": "2025-07-22T10:02:03Z",
                "readyToUse": true
            }
        }
    ]
}
)");
  const auto back = DecodeSnapshotList(EncodeSnapshotList({record}, "x")).value();
  EXPECT_EQ(back[0].name, record.name);
  EXPECT_EQ(back[0].bytes, record.bytes);
  EXPECT_EQ(back[0].token_hash, record.token_hash);
  EXPECT_EQ(back[0].created_at, record.created_at);
}

TEST(SnapshotApi, ErrorsKeepCodeMessageAndHintOnTheWay) {
  const Status error = WithHint(DataLossError("digest is wrong"), "Take another one.");
  const Status back = DecodeError(HttpCodeOf(error), EncodeError(error));
  EXPECT_EQ(back.code(), StatusCode::kDataLoss);
  EXPECT_EQ(MessageOf(back), "digest is wrong");
  EXPECT_EQ(HintOf(back), "Take another one.");
  EXPECT_EQ(MessageOf(DecodeError(502, "<html>")), "the server answered with HTTP 502: <html>");
  EXPECT_EQ(DecodeError(401, "").code(), StatusCode::kUnauthenticated);
}

TEST(SnapshotApi, Lines) {
  EXPECT_EQ(
      std::get<Progress>(DecodeLine(EncodeProgressLine({.done = 1, .total = 2})).value()).total,
      2u);
  EXPECT_EQ(std::get<std::string>(DecodeLine(EncodeResultLine(R"({"created":["a"]})")).value()),
            R"({"created":["a"]})");
  EXPECT_EQ(DecodeLine(EncodeErrorLine(AbortedError("busy"))).status().code(),
            StatusCode::kAborted);
  EXPECT_FALSE(DecodeLine("x").ok());
}

}  // namespace
}  // namespace holdfast
