#include "base/text.h"

#include <string>

#include <gtest/gtest.h>

namespace lmsb {
namespace {

const std::string kBad = "\xEF\xBF\xBD";  // U+FFFD

TEST(Utf8, TakesEveryWellFormedSequence) {
  for (const char* text : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                           "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(text));
    EXPECT_EQ(to_utf8(text), text);
  }
}

TEST(Utf8, RefusesOverlongFormsSurrogatesAndWhatIsBeyondUnicode) {
  for (const char* text : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                           "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE2\x82", "\xF0\x9F\x98"}) {
    EXPECT_FALSE(is_utf8(text));
    EXPECT_TRUE(is_utf8(to_utf8(text)));
  }
}

// What Python's bytes.decode("utf-8", "replace") makes of the same octets.
TEST(Utf8, ReplacesTheMaximalSubpartsThatPythonReplaces) {
  EXPECT_EQ(to_utf8("a\xFF"
                    "b"),
            "a" + kBad + "b");
  EXPECT_EQ(to_utf8("\xE2\x82"), kBad);
  EXPECT_EQ(to_utf8("\xE2\x82"
                    "a"),
            kBad + "a");
  EXPECT_EQ(to_utf8("\xF0\x80\x80\x41"), kBad + kBad + kBad + "A");
  EXPECT_EQ(to_utf8("\xED\xA0\x80"), kBad + kBad + kBad);
  EXPECT_EQ(to_utf8("\xF0\x9F\x98\xF0\x9F\x98\x80"), kBad + "\xF0\x9F\x98\x80");
}

TEST(Base64, FollowsTheRfcsVectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(base64_encode(plain), encoded);
    EXPECT_EQ(base64_decode(encoded), plain);
  }
}

TEST(Base64, CarriesEveryOctet) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(base64_decode(base64_encode(all)), all);
}

TEST(Base64, IsRefusedWhenMalformed) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "=Zg=", "Z=g=", "Zm9v\n", "Zm9-", "====", "Zg==Zg=="}) {
    EXPECT_FALSE(base64_decode(text)) << text;
  }
}

TEST(Quoted, ShowsWhatCannotBePrintedAndIsCut) {
  EXPECT_EQ(quoted("plain"), "\"plain\"");
  EXPECT_EQ(quoted("a\"\n\x1b"), "\"a\\x22\\x0a\\x1b\"");
  EXPECT_EQ(quoted("abcdef", 3), "\"abc...\"");
  EXPECT_TRUE(is_utf8(quoted("\xFF\xFE")));
}

}  // namespace
}  // namespace lmsb
