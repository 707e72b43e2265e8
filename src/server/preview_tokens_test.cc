#include "server/preview_tokens.h"

#include <gtest/gtest.h>

#include "base/digest.h"

namespace lmsb::server {
namespace {

using std::chrono::seconds;
using Clock = PreviewTokens::Clock;

const PreviewHost kPlace{3000, "k3u9d2m5q7x1c4v8b6n0"};
const Clock::time_point kNow{seconds(1'767'225'600)};

TEST(PreviewTokens, OpenTheirPlaceUntilTheyEnd) {
  const PreviewTokens tokens;
  const std::string token = tokens.make(kPlace, "key:key_a", kNow + seconds(60));
  EXPECT_EQ(tokens.read(token, kPlace, kNow).left, seconds(60));
  EXPECT_EQ(tokens.read(token, kPlace, kNow + seconds(59)).left, seconds(1));
  EXPECT_LE(tokens.read(token, kPlace, kNow + seconds(60)).left, seconds(0));
  EXPECT_EQ(tokens.read(token, kPlace, kNow).by, "key:key_a");
}

TEST(PreviewTokens, SayNothingOfAMakerWithoutAKey) {
  const PreviewTokens tokens;
  const std::string token = tokens.make(kPlace, "", kNow + seconds(60));
  EXPECT_EQ(token.find('.'), token.rfind('.'));
  EXPECT_EQ(tokens.read(token, kPlace, kNow).left, seconds(60));
  EXPECT_EQ(tokens.read(token, kPlace, kNow).by, "");
}

TEST(PreviewTokens, OpenNoOtherPlace) {
  const PreviewTokens tokens;
  const std::string token = tokens.make(kPlace, "key:key_a", kNow + seconds(60));
  EXPECT_LE(tokens.read(token, {3001, kPlace.sandbox}, kNow).left, seconds(0));
  EXPECT_LE(tokens.read(token, {300, kPlace.sandbox}, kNow).left, seconds(0));
  EXPECT_LE(tokens.read(token, {3000, "a3u9d2m5q7x1c4v8b6n0"}, kNow).left, seconds(0));
}

TEST(PreviewTokens, OfAnotherDaemonOpenNothing) {
  EXPECT_LE(PreviewTokens().read(PreviewTokens().make(kPlace, "key:key_a", kNow + seconds(60)), kPlace, kNow).left,
            seconds(0));
}

TEST(PreviewTokens, AreWorthNothingWhenAnyOctetIsAnother) {
  const PreviewTokens tokens;
  const std::string token = tokens.make(kPlace, "key:key_a", kNow + seconds(60));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string other = token;
    other[i] = other[i] == '1' ? '2' : '1';
    EXPECT_LE(tokens.read(other, kPlace, kNow).left, seconds(0)) << i;
    EXPECT_LE(tokens.read(token.substr(0, i), kPlace, kNow).left, seconds(0)) << i;
  }
  EXPECT_LE(tokens.read(token + "0", kPlace, kNow).left, seconds(0));
}

// RFC 4231, test case 2.
TEST(HmacSha256, IsWhatTheStandardSays) {
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace lmsb::server
