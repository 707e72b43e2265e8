#include "base/digest.h"

#include <string>

#include <gtest/gtest.h>

namespace lmsb {
namespace {

TEST(Sha256, IsThatOfTheStandard) {
  EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, OfPiecesIsThatOfTheWhole) {
  Sha256Sum sum;
  const std::string whole(100'000, 'x');
  std::size_t size = 1;
  for (std::size_t at = 0; at < whole.size(); at += size) sum.add(std::string_view(whole).substr(at, ++size));
  EXPECT_EQ(sum.finish(), sha256(whole));
  EXPECT_EQ(Sha256Sum().finish(), sha256(""));
}

}  // namespace
}  // namespace lmsb
