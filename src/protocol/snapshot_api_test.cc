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
  EXPECT_EQ(message(R"({"s3":{}})"), "failed to initialize S3 client: s3 bucket name was not set");
  EXPECT_EQ(message(R"({"s3":true})"), "\"s3\" is not an object");
  EXPECT_EQ(message(R"({"s3":{"configSecret":"x"}})"),
            "failed to initialize S3 client: secrets of Kubernetes cannot be read here");
  EXPECT_EQ(message(R"({"s3":{"bucket":"b","timeout":"0s"}})"),
            "failed to initialize S3 client: etcd-s3-timeout must be greater than 0s");
  EXPECT_EQ(message(R"({"s3":{"bucket":"b","secretKey":["hidden"]}})"),
            "failed to initialize S3 client: \"secretKey\" is of the wrong type");
}

TEST(SnapshotApi, S3SettingsGoWholeAndUnderRke2sNames) {
  SnapshotRequest request{.operation = "save", .names = {"n"}};
  request.s3 = S3Options{.endpoint = "h:1",
                         .endpoint_ca = "/ca",
                         .skip_ssl_verify = true,
                         .insecure = true,
                         .access_key = "A",
                         .secret_key = Secret("S"),
                         .session_token = Secret("T"),
                         .bucket = "b",
                         .lookup = BucketLookup::kPath,
                         .region = "r",
                         .folder = "f",
                         .proxy = "none",
                         .timeout = absl::Seconds(90),
                         .server_side_encryption = "aws:kms",
                         .kms_key_id = "k",
                         .storage_class = "GLACIER",
                         .bytes_per_second_max = 1000};
  request.s3_retention = 4;
  EXPECT_EQ(
      request.Encode(),
      R"({"operation":"save","name":["n"],"s3":{"accessKey":"A","bucket":"b","bucketLookup":"path",)"
      R"("endpoint":"h:1","endpointCA":"/ca","folder":"f","proxy":"none","region":"r",)"
      R"("secretKey":"S","sessionToken":"T","insecure":true,"skipSSLVerify":true,)"
      R"("timeout":"1m30s","retention":4,"sse":"aws:kms","sseKmsKeyId":"k",)"
      R"("storageClass":"GLACIER","bandwidthLimit":1000}})");
  const SnapshotRequest back = SnapshotRequest::Decode(request.Encode()).value();
  EXPECT_EQ(back.Encode(), request.Encode());
  EXPECT_EQ(back.s3->session_token.reveal(), "T");
  EXPECT_FALSE(back.no_s3);
}

TEST(SnapshotApi, ABandwidthThatNoTransferCanHaveIsRefused) {
  const auto decode = [](const std::string& limit) {
    return SnapshotRequest::Decode(
               R"({"operation":"save","name":["x"],"s3":{"bucket":"b","bandwidthLimit":)" + limit +
               "}}")
        .status();
  };
  EXPECT_TRUE(decode("9223372036854775807").ok()) << decode("9223372036854775807");
  EXPECT_TRUE(absl::IsInvalidArgument(decode("9223372036854775808")));
}

TEST(SnapshotApi, WithoutS3TheServersOwnHoldsAndFalseTurnsItOff) {
  for (const char* json : {R"({"operation":"list"})", R"({"operation":"list","s3":null})"}) {
    const SnapshotRequest request = SnapshotRequest::Decode(json).value();
    EXPECT_FALSE(request.s3.has_value() || request.no_s3);
  }
  const SnapshotRequest off = SnapshotRequest::Decode(R"({"operation":"list","s3":false})").value();
  EXPECT_TRUE(off.no_s3);
  SnapshotRequest prune{.operation = "prune", .names = {"n"}};
  prune.s3_retention = 2;
  EXPECT_EQ(SnapshotRequest::Decode(prune.Encode())->s3_retention, 2);
  EXPECT_EQ(off.Encode(), R"({"operation":"list","name":[],"s3":false})");
  // As RKE2's command line sends it: what is not set is empty.
  const SnapshotRequest rke2 =
      SnapshotRequest::Decode(R"({"operation":"save","name":["x"],"s3":{"bucket":"b",)"
                              R"("bucketLookup":"","endpoint":"","timeout":"5m0s"}})")
          .value();
  EXPECT_EQ(rke2.s3->endpoint, kS3EndpointDefault);
  EXPECT_EQ(rke2.s3->lookup, BucketLookup::kAuto);
  EXPECT_FALSE(rke2.s3_retention.has_value());
}

TEST(SnapshotApi, ACopyInS3IsARowOfItsOwn) {
  SnapshotRecord record{.name = "a-n-1",
                        .node_name = "n",
                        .location = "s3://b/f/a-n-1",
                        .bytes = 1,
                        .created_at = absl::FromUnixSeconds(1),
                        .cluster_id = "c"};
  record.s3 =
      S3Options{.endpoint = "h", .secret_key = Secret("hidden"), .bucket = "b", .folder = "f"};
  const std::string json = EncodeSnapshotList({.records = {record}}, "x");
  for (const char* part :
       {R"("name": "s3-a-n-1")", R"("x/snapshot-storage-node": "s3")", R"("nodeName": "n")",
        R"("x/snapshot-cluster-id": "c")", R"("prefix": "f")", R"("region": "us-east-1")"}) {
    EXPECT_NE(json.find(part), std::string::npos) << part << json;
  }
  EXPECT_EQ(json.find("hidden"), std::string::npos);
  const SnapshotRecord back = DecodeSnapshotList(json)->records.front();
  EXPECT_EQ(back.s3->folder, "f");
  EXPECT_EQ(back.cluster_id, "c");
  EXPECT_EQ(EncodeSnapshotList({.records = {back}}, "x"), json);
}

TEST(SnapshotApi, APruneSaysWhatItCounted) {
  SnapshotResult result;
  result.considered = {{.place = "file:///s", .count = 3, .limit = 5}};
  EXPECT_EQ(result.Encode(), R"({"considered":[{"place":"file:///s","count":3,"limit":5}]})");
  const SnapshotResult back = SnapshotResult::Decode(result.Encode()).value();
  EXPECT_EQ(back.considered[0].place, "file:///s");
  EXPECT_EQ(back.considered[0].count + back.considered[0].limit, 8);
}

TEST(SnapshotApi, ListHasTheShapeThatScriptsKnow) {
  const SnapshotRecord record{.name = "on-demand n-1",
                              .node_name = "n",
                              .location = "file:///s/x",
                              .bytes = 5988384,
                              .created_at = absl::FromUnixSeconds(1753178523),
                              .token_hash = "2bb80d537b1d",
                              .metadata = {{"a", "b"}}};
  EXPECT_EQ(EncodeSnapshotList({.records = {record}}, "etcd.rke2.cattle.io"), R"({
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
  const auto back =
      DecodeSnapshotList(EncodeSnapshotList({.records = {record}}, "x")).value().records;
  EXPECT_EQ(back[0].name, record.name);
  EXPECT_EQ(back[0].bytes, record.bytes);
  EXPECT_EQ(back[0].token_hash, record.token_hash);
  EXPECT_EQ(back[0].created_at, record.created_at);
}

TEST(SnapshotApi, AListSaysWhichServersDidNotTell) {
  EXPECT_EQ(EncodeSnapshotList({}, "x").find("silentServers"), std::string::npos);
  const std::string json =
      EncodeSnapshotList({.records = {}, .silent = {{"n2", "no answer"}}}, "x");
  const SnapshotListing back = DecodeSnapshotList(json).value();
  ASSERT_EQ(back.silent.size(), 1u);
  EXPECT_EQ(back.silent[0].node, "n2");
  EXPECT_EQ(back.silent[0].why, "no answer");
  EXPECT_TRUE(DecodeSnapshotList(R"({"items":[],"silentServers":"none"})")->silent.empty());
  EXPECT_EQ(DecodeSnapshotList(R"({"items":[],"silentServers":[1]})")->silent.size(), 1u);
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
  const std::string upload = EncodeProgressLine({.done = 1, .total = 2, .step = "upload"});
  EXPECT_EQ(upload, "{\"progress\":{\"done\":1,\"total\":2,\"step\":\"upload\"}}\n");
  EXPECT_EQ(std::get<Progress>(DecodeLine(upload).value()).step, "upload");
  EXPECT_EQ(std::get<std::string>(DecodeLine(EncodeResultLine(R"({"created":["a"]})")).value()),
            R"({"created":["a"]})");
  EXPECT_EQ(DecodeLine(EncodeErrorLine(AbortedError("busy"))).status().code(),
            StatusCode::kAborted);
  EXPECT_FALSE(DecodeLine("x").ok());
}

}  // namespace
}  // namespace holdfast
