#include "keys/token.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

const std::string kHash(64, 'a');

TEST(Token, SecureFormIsTakenApartAndPutTogether) {
  const std::string text = "K10" + kHash + "::server:pass:word::x";
  const auto token = ParseServerToken(" " + text + "\n");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->ca_hash, kHash);
  EXPECT_EQ(token->user, "server");
  EXPECT_EQ(token->password.reveal(), "pass:word::x");
  EXPECT_EQ(FormatToken(*token).reveal(), text);
}

TEST(Token, ShortFormsHaveOnlyAPassword) {
  for (const char* text : {"secret", "\tsecret\r\n", "K10:::secret"}) {
    const auto token = ParseServerToken(text);
    ASSERT_TRUE(token.ok()) << text << token.status();
    EXPECT_EQ(token->ca_hash, "");
    EXPECT_EQ(token->user, "");
    EXPECT_EQ(token->password.reveal(), "secret");
  }
}

TEST(Token, ColonsInABarePasswordBelongToIt) {
  for (const char* text : {"a:b", "a::b", "::", ":", "k10x::y:z"}) {
    const auto token = ParseServerToken(text);
    ASSERT_TRUE(token.ok()) << text << token.status();
    EXPECT_EQ(token->password.reveal(), text);
  }
}

TEST(Token, HashWithoutUserKeepsTheHash) {
  const auto token = ParseServerToken("K10" + kHash + ":::secret");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->ca_hash, kHash);
  EXPECT_EQ(token->password.reveal(), "secret");
}

// The same texts and messages as in K3s's own tests of invalid tokens.
TEST(Token, MalformedTextsHaveTheMessagesPeopleKnow) {
  const std::pair<std::string, std::string_view> kCases[] = {
      {"", "token must not be empty"},
      {" \n", "token must not be empty"},
      {"K10", "invalid token format"},
      {"K10::", "invalid token format"},
      {"K10::x", "invalid token format"},
      {"K10::x:", "invalid token format"},
      {"K10password", "invalid token format"},
      {"K10XX::x:y", "invalid token CA hash length"},
      {"K10" + kHash + "a::x:y", "invalid token CA hash length"}};
  for (const auto& [text, message] : kCases) {
    const Status status = ParseServerToken(text).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(MessageOf(status), message) << text;
    EXPECT_NE(HintOf(status), "");
  }
}

TEST(Token, BootstrapTokensAreNotForServers) {
  for (const std::string& text :
       {std::string("abcdef.0123456789abcdef"), "K10" + kHash + "::abcdef.0123456789abcdef",
        std::string("K10::abcdef.0123456789abcdef")}) {
    EXPECT_EQ(MessageOf(ParseServerToken(text).status()),
              "failed to normalize server token; must be in format "
              "K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>")
        << text;
  }
  for (const char* text :
       {"abcdeF.0123456789abcdef", "abcdef.0123456789abcde", "abcdef-0123456789abcdef"}) {
    EXPECT_TRUE(ParseServerToken(text).ok()) << text;
  }
}

TEST(Token, MessagesShowNoPartOfTheToken) {
  for (const char* text : {"K10hunter2::x:hunter2", "K10hunter2", "K10::hunter2"}) {
    const Status status = ParseServerToken(text).status();
    EXPECT_EQ(status.ToString().find("hunter2"), std::string::npos) << status;
  }
}

// The values of `printf secret | sha256sum` and `sha256sum </dev/null`.
TEST(Token, HashNamesTheBootstrapKey) {
  EXPECT_EQ(TokenHash(Secret("secret")), "2bb80d537b1d");
  EXPECT_EQ(BootstrapKeyName(Secret("secret")), "/bootstrap/2bb80d537b1d");
  EXPECT_EQ(BootstrapKeyName(Secret()), "/bootstrap/e3b0c44298fc");
}

TEST(Token, NewPasswordsAre32HexDigitsAndDiffer) {
  const Secret a = NewPassword(SystemRandom());
  const Secret b = NewPassword(SystemRandom());
  EXPECT_EQ(a.reveal().size(), 32u);
  EXPECT_EQ(a.reveal().find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_FALSE(a == b);
}

}  // namespace
}  // namespace holdfast
