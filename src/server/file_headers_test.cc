#include "server/file_headers.h"

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

using Kind = RangeChoice::Kind;

void expect_part(std::string_view field, std::uint64_t size, std::uint64_t offset, std::uint64_t length) {
  const RangeChoice choice = choose_range(field, size);
  EXPECT_EQ(choice.kind, Kind::part) << field;
  EXPECT_EQ(choice.offset, offset) << field;
  EXPECT_EQ(choice.length, length) << field;
}

TEST(Range, SaysFirstAndLastOrOneOfThem) {
  expect_part("bytes=0-0", 10, 0, 1);
  expect_part("bytes=2-5", 10, 2, 4);
  expect_part("bytes=2-", 10, 2, 8);
  expect_part("bytes=-3", 10, 7, 3);
  expect_part("bytes=5-99", 10, 5, 5);
  expect_part("bytes=-99", 10, 0, 10);
  expect_part("BYTES = 1 - 2", 10, 1, 2);
  expect_part("bytes=1-99999999999999999999999", 10, 1, 9);
}

TEST(Range, BeyondTheEndCannotBeSatisfied) {
  for (const char* field : {"bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"})
    EXPECT_EQ(choose_range(field, 10).kind, Kind::unsatisfiable) << field;
  EXPECT_EQ(choose_range("bytes=0-", 0).kind, Kind::unsatisfiable);
}

TEST(Range, WhatIsNotUnderstoodIsIgnored) {
  for (const char* field : {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=3-2", "bytes=0-1,3-4", "items=0-1",
                            "bytes=+1-2", "bytes=1--2", "bytes=1-2x"}) {
    const RangeChoice choice = choose_range(field, 10);
    EXPECT_EQ(choice.kind, Kind::whole) << field;
    EXPECT_EQ(choice.length, 10U) << field;
  }
}

TEST(EntityTag, IsWeakWhileTheFileWasJustChanged) {
  control::FileInfo info;
  info.changed = {100, 5};
  info.seen_at = 101;
  EXPECT_TRUE(control::etag_of(info).starts_with("W/\""));
  info.seen_at = 102;
  EXPECT_TRUE(control::etag_of(info).starts_with("\""));
}

TEST(EntityTag, ChangesWithSizeInodeAndTime) {
  control::FileInfo info;
  info.seen_at = 1'000'000;
  const std::string before = control::etag_of(info);
  control::FileInfo other = info;
  other.size = 1;
  EXPECT_NE(control::etag_of(other), before);
  other = info;
  other.inode = 1;
  EXPECT_NE(control::etag_of(other), before);
  other = info;
  other.changed.nanoseconds = 1;
  EXPECT_NE(control::etag_of(other), before);
}

TEST(EntityTag, IsComparedWeaklyForNotModified) {
  EXPECT_TRUE(names_etag("\"a\"", "\"a\""));
  EXPECT_TRUE(names_etag("W/\"a\"", "\"a\""));
  EXPECT_TRUE(names_etag("\"b\", W/\"a\"", "W/\"a\""));
  EXPECT_TRUE(names_etag("*", "\"a\""));
  EXPECT_FALSE(names_etag("\"b\"", "\"a\""));
  EXPECT_FALSE(names_etag("a", "\"a\""));
  EXPECT_FALSE(names_etag("\"a", "\"a\""));
  EXPECT_FALSE(names_etag("", "\"a\""));
}

TEST(EntityTag, IsComparedStronglyForRanges) {
  EXPECT_TRUE(is_same_strongly("\"a\"", "\"a\""));
  EXPECT_FALSE(is_same_strongly("W/\"a\"", "W/\"a\""));
  EXPECT_FALSE(is_same_strongly("\"a\"", "W/\"a\""));
  EXPECT_FALSE(is_same_strongly("Wed, 25 Nov 2026 15:23:29 GMT", "\"a\""));
}

TEST(FileTimes, AreWrittenAsHttpAndRfc3339WriteThem) {
  EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(-1), "");
  EXPECT_EQ(rfc3339({1'700'000'000, 5}), "2023-11-14T22:13:20.000000005Z");
  EXPECT_EQ(rfc3339({-1, 0}), "1969-12-31T23:59:59.000000000Z");
  EXPECT_EQ(rfc3339({INT64_MIN, 0}), "0001-01-01T00:00:00.000000000Z");
  EXPECT_EQ(rfc3339({INT64_MAX, 0}), "9999-12-31T23:59:59.000000000Z");
}

TEST(DownloadHeaders, HoldNoNameThatEndsALine) {
  http::Response response;
  set_download_headers(response, "a\"b\r\nSet-Cookie: x\xff\xc3\xa9");
  const std::string field(*response.headers.find("Content-Disposition"));
  EXPECT_EQ(field.find('\r'), std::string::npos);
  EXPECT_EQ(field.find('\n'), std::string::npos);
  EXPECT_NE(field.find("attachment; filename=\"a_b__Set-Cookie: x___\""), std::string::npos) << field;
  EXPECT_NE(field.find("filename*=UTF-8''a%22b%0D%0ASet-Cookie%3A%20x%EF%BF%BD%C3%A9"), std::string::npos) << field;
}

TEST(FileHeaders, WhatAnArchiveLeavesOutIsNamedBehindIt) {
  control::Skipped skipped;
  EXPECT_EQ(skipped_trailer(skipped).find("X-Skipped-Count"), "0");
  EXPECT_FALSE(skipped_trailer(skipped).find("X-Skipped"));
  skipped.count = 5000;
  skipped.files = {{"a b", 13}, {"c,\r\nd", 13}};
  EXPECT_EQ(skipped_trailer(skipped).find("X-Skipped-Count"), "5000");
  EXPECT_EQ(skipped_trailer(skipped).find("X-Skipped"), "a%20b, c%2C%0D%0Ad");
  skipped.files.resize(4000, {"name", 13});
  EXPECT_LE(skipped_trailer(skipped).find("X-Skipped")->size(), 4096U);
}

}  // namespace
}  // namespace lmsb::server
