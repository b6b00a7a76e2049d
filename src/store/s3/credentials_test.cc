#include "store/s3/credentials.h"

#include <gmock/gmock.h>

#include "base/text.h"
#include "testing/fake_clock.h"
#include "testing/memory_fs.h"

namespace holdfast {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Services of a cloud, by "METHOD url".
class FakeCloud {
 public:
  std::map<std::string, HttpResponse> answers;
  std::vector<HttpRequest> requests;

  std::unique_ptr<HttpClient> MakeClient() {
    class Client final : public HttpClient {
     public:
      explicit Client(FakeCloud& cloud) : cloud_(cloud) {}
      StatusOr<HttpResponse> Do(const HttpRequest& request) override {
        cloud_.requests.push_back(request);
        const auto it = cloud_.answers.find(request.method + " " + request.url);
        if (it == cloud_.answers.end()) return UnavailableError("{}: nobody there", request.url);
        return it->second;
      }

     private:
      FakeCloud& cloud_;
    };
    return std::make_unique<Client>(*this);
  }
};

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() {
    for (const char* directory : {"/home", "/home/.aws"})
      EXPECT_TRUE(fs_.MakeDirectory(directory, 0700).ok());
  }
  void WriteFile(const std::string& path, std::string_view text) {
    auto file = fs_.OpenOrCreate(path, 0600).value();
    ASSERT_TRUE(file->Truncate(0).ok());
    ASSERT_TRUE(file->WriteAt(0, BytesOf(text)).ok());
  }
  S3Context Context() {
    return {.fs = fs_,
            .clock = clock_,
            .random = SystemRandom(),
            .environment = [this](const std::string& name) -> std::optional<std::string> {
              const auto it = environment_.find(name);
              if (it == environment_.end()) return std::nullopt;
              return it->second;
            },
            .make_http = [this] { return cloud_.MakeClient(); }};
  }
  CredentialsChain Chain() { return {CredentialsSources(options_, Context()), clock_}; }
  std::string Found() {
    CredentialsChain chain = Chain();
    const auto found = chain.Get();
    return found.ok() ? chain.source() + " " + found->access_key : MessageOf(found.status());
  }
  static std::string Json(const std::string& key, const std::string& expires) {
    return fmt::format(
        R"({{"Code":"Success","AccessKeyId":"{}","SecretAccessKey":"s","Token":"t","Expiration":"{}"}})",
        key, expires);
  }

  testing::MemoryFs fs_;
  testing::FakeClock clock_;  // 2023-11-14T22:13:20Z
  S3Options options_;
  std::map<std::string, std::string> environment_ = {{"HOME", "/home"}};
  FakeCloud cloud_;
};

TEST_F(CredentialsTest, TheFirstSourceThatHasAllCounts) {
  WriteFile("/home/.aws/credentials",
            "[default]\naws_access_key_id = file\naws_secret_access_key = s\n");
  EXPECT_EQ(Found(), "shared credentials file file");
  environment_["AWS_ACCESS_KEY_ID"] = "env";
  EXPECT_EQ(Found(), "shared credentials file file");  // without its secret
  environment_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(Found(), "environment env");
  options_.access_key = "flag";
  EXPECT_EQ(Found(), "environment env");  // without its secret: a warning
  options_.secret_key = Secret("s");
  EXPECT_EQ(Found(), "settings flag");
  EXPECT_TRUE(cloud_.requests.empty());
}

TEST_F(CredentialsTest, AProfileOfAnotherFileCanBeChosen) {
  WriteFile("/keys",
            "# mine\n[default]\naws_access_key_id=d\naws_secret_access_key=s\n\n[ ops ]\r\n"
            "AWS_ACCESS_KEY_ID = o\r\n; no\naws_secret_access_key = a=b+/c\naws_session_token=t\n"
            "[last]\naws_access_key_id=l\n");
  environment_["AWS_SHARED_CREDENTIALS_FILE"] = "/keys";
  EXPECT_EQ(Found(), "shared credentials file d");
  environment_["AWS_PROFILE"] = "ops";
  const auto ops = Chain().Get();
  EXPECT_EQ(ops->access_key, "o");
  EXPECT_EQ(ops->secret_key.reveal(), "a=b+/c");
  EXPECT_EQ(ops->session_token.reveal(), "t");
  environment_["AWS_PROFILE"] = "last";
  environment_["AWS_EC2_METADATA_DISABLED"] = "true";
  CredentialsChain chain = Chain();
  EXPECT_EQ(chain.Get()->access_key, "");
  EXPECT_EQ(chain.source(), "anonymous");
  EXPECT_THAT(chain.WhyNone(),
              HasSubstr("/keys: no access key and secret key in the profile \"last\""));
}

TEST_F(CredentialsTest, NoneAtAllIsAnonymousAndSaysWhereWasLooked) {
  CredentialsChain chain = Chain();
  EXPECT_EQ(chain.Get()->access_key, "");
  EXPECT_THAT(chain.WhyNone(), HasSubstr("instance metadata: http://169.254.169.254/"));
}

TEST_F(CredentialsTest, AWebIdentityIsExchangedWithoutItsTokenInTheUrl) {
  WriteFile("/token", "ey.J\n");
  environment_["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/token";
  environment_["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
  environment_["AWS_REGION"] = "eu-west-1";
  cloud_.answers["POST https://sts.eu-west-1.amazonaws.com/"] = {
      .code = 200,
      .body =
          "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
          "<AccessKeyId>web</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t"
          "</SessionToken><Expiration>2023-11-15T00:00:00Z</Expiration></Credentials>"
          "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"};
  EXPECT_EQ(Found(), "web identity web");
  EXPECT_THAT(cloud_.requests.at(0).body, HasSubstr("WebIdentityToken=ey.J"));
  EXPECT_THAT(cloud_.requests.at(0).body, HasSubstr("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"));
}

TEST_F(CredentialsTest, AContainerIsAskedWithTheTokenOfItsFile) {
  WriteFile("/auth", "secret token\n");
  environment_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://169.254.170.23/v1/credentials";
  environment_["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/auth";
  cloud_.answers["GET http://169.254.170.23/v1/credentials"] = {
      .code = 200, .body = Json("pod", "2023-11-15T00:00:00Z")};
  EXPECT_EQ(Found(), "container pod");
  EXPECT_THAT(cloud_.requests.at(0).headers, ElementsAre("Authorization: secret token"));
  EXPECT_EQ(cloud_.requests.at(0).proxy, "");
  environment_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/ecs";
  cloud_.answers["GET http://169.254.170.2/ecs"] = {.code = 200,
                                                    .body = Json("task", "2023-11-15T00:00:00Z")};
  EXPECT_EQ(Found(), "container task");
}

TEST_F(CredentialsTest, AnInstanceIsAskedByIMDSv2) {
  environment_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://imds/";
  const std::string roles = "http://imds/latest/meta-data/iam/security-credentials/";
  cloud_.answers["PUT http://imds/latest/api/token"] = {.code = 200, .body = "tok"};
  cloud_.answers["GET " + roles] = {.code = 200, .body = "my role\n"};
  cloud_.answers["GET " + roles + "my%20role"] = {.code = 200,
                                                  .body = Json("ec2", "2023-11-15T00:00:00Z")};
  EXPECT_EQ(Found(), "instance metadata ec2");
  EXPECT_THAT(cloud_.requests.at(2).headers, ElementsAre("X-aws-ec2-metadata-token: tok"));
  environment_["AWS_EC2_METADATA_DISABLED"] = "TRUE";
  EXPECT_EQ(Found(), "anonymous ");
}

TEST_F(CredentialsTest, AnswersWithoutCredentialsAreNone) {
  environment_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/ecs";
  for (const char* body : {"", "{}", "[1]", "{\"AccessKeyId\":7}", "<html>",
                           R"({"AccessKeyId":"a","SecretAccessKey":"s","Expiration":"soon"})"}) {
    cloud_.answers["GET http://169.254.170.2/ecs"] = {.code = 200, .body = body};
    EXPECT_EQ(Found(), "anonymous ") << body;
  }
}

class RenewalTest : public CredentialsTest {
 protected:
  RenewalTest() {
    environment_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/ecs";
    Give("one", "2023-11-14T23:13:20Z");  // in an hour
  }
  void Give(const std::string& key, const std::string& expires) {
    cloud_.answers["GET http://169.254.170.2/ecs"] = {.code = 200, .body = Json(key, expires)};
  }
};

TEST_F(RenewalTest, OthersAreFetchedBeforeTheOldExpire) {
  CredentialsChain chain = Chain();
  EXPECT_EQ(chain.Get()->access_key, "one");
  Give("two", "2023-11-15T00:13:20Z");
  clock_.Advance(absl::Minutes(54));
  EXPECT_EQ(chain.Get()->access_key, "one");
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(chain.Get()->access_key, "two");
  EXPECT_EQ(cloud_.requests.size(), 2u);
}

TEST_F(RenewalTest, ASourceThatFailsForAWhileDoesNoHarmUntilTheOldExpire) {
  CredentialsChain chain = Chain();
  ASSERT_TRUE(chain.Get().ok());
  cloud_.answers.clear();
  clock_.Advance(absl::Minutes(56));
  EXPECT_EQ(chain.Get()->access_key, "one");
  clock_.Advance(absl::Minutes(4));
  const auto none = chain.Get();
  EXPECT_TRUE(absl::IsUnauthenticated(none.status()));
  EXPECT_THAT(MessageOf(none.status()), HasSubstr("container: http://169.254.170.2/ecs"));
}

TEST_F(RenewalTest, RefusedOnesAreReplacedIfTheSourceHasOthers) {
  CredentialsChain chain = Chain();
  const S3Credentials one = *chain.Get();
  EXPECT_FALSE(chain.Renew(one));
  Give("two", "2023-11-15T00:13:20Z");
  EXPECT_TRUE(chain.Renew(one));
  EXPECT_EQ(chain.Get()->access_key, "two");
  const auto asked = cloud_.requests.size();
  EXPECT_TRUE(chain.Renew(one));  // somebody else was slower
  EXPECT_EQ(cloud_.requests.size(), asked);
}

}  // namespace
}  // namespace holdfast
