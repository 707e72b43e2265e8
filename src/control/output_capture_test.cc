#include "control/output_capture.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

TEST(HeadAndTail, PutsWhatFollowsALossBehindTheCut) {
  HeadAndTail kept(100);
  kept.append("before");
  kept.lose(7);
  kept.append("after");
  const Output output = kept.take();
  EXPECT_EQ(output.data, "beforeafter");
  EXPECT_EQ(output.cut_at, 6U);
  EXPECT_EQ(output.truncated_bytes, 7U);
}

TEST(HeadAndTail, KeepsAShortStreamWhole) {
  HeadAndTail kept(10);
  kept.append("hello");
  kept.append("12345");
  const Output output = kept.take();
  EXPECT_EQ(output.data, "hello12345");
  EXPECT_EQ(output.truncated_bytes, 0U);
}

TEST(HeadAndTail, KeepsBothEndsOfALongStreamAndCountsTheRest) {
  HeadAndTail kept(6);
  for (char c = 'a'; c <= 'z'; ++c) kept.append(std::string(1, c));
  const Output output = kept.take();
  EXPECT_EQ(output.data, "abcxyz");
  EXPECT_EQ(output.cut_at, 3U);
  EXPECT_EQ(output.truncated_bytes, 20U);
}

TEST(HeadAndTail, GivesTheSameForEveryWayToCutTheStreamIntoPieces) {
  const std::string stream = "0123456789abcdefghijklmnopqrstuvwxyz";
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    HeadAndTail kept(11);
    for (std::size_t at = 0; at < stream.size(); at += piece) kept.append(std::string_view(stream).substr(at, piece));
    const Output output = kept.take();
    EXPECT_EQ(output.data, "012345vwxyz") << piece;
    EXPECT_EQ(output.truncated_bytes, stream.size() - 11) << piece;
  }
}

}  // namespace
}  // namespace lmsb::control
