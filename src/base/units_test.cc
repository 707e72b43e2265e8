#include "base/units.h"

#include <gtest/gtest.h>

namespace lmsb {
namespace {

TEST(Bytes, AreReadInDockersSpelling) {
  EXPECT_EQ(parse_bytes("1024"), Bytes::KiB(1));
  EXPECT_EQ(parse_bytes("512m"), Bytes::MiB(512));
  EXPECT_EQ(parse_bytes("1.5g"), Bytes::MiB(1536));
  EXPECT_EQ(parse_bytes("64K"), Bytes::KiB(64));
  EXPECT_EQ(parse_bytes("1GiB"), Bytes::GiB(1));
  EXPECT_EQ(parse_bytes("2gb"), Bytes::GiB(2));
  EXPECT_EQ(parse_bytes("10b"), Bytes(10));
  EXPECT_EQ(parse_bytes("0"), Bytes());
}

TEST(Bytes, AreRefusedWhenMalformed) {
  for (const char* text : {"", "m", "-1", "1x", "1 m", " 1", "1mm", "1ib", "1bib", "0x10", "1e3", "inf", "nan",
                           "99999999999t", "1.5.5g"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  }
}

TEST(Bytes, AreWrittenSoThatTheyReadBack) {
  for (const Bytes bytes : {Bytes(0), Bytes(1), Bytes(1500), Bytes::KiB(1), Bytes::MiB(64), Bytes::GiB(1),
                            Bytes::GiB(1024), Bytes::MiB(1536)}) {
    EXPECT_EQ(parse_bytes(format_bytes(bytes)), bytes) << format_bytes(bytes);
  }
  EXPECT_EQ(format_bytes(Bytes::GiB(1)), "1g");
  EXPECT_EQ(format_bytes(Bytes(1500)), "1500");
}

}  // namespace
}  // namespace lmsb
