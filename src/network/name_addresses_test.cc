#include "network/name_addresses.h"

#include <gtest/gtest.h>

#include "network/egress.h"

namespace lmsb::network {
namespace {

TEST(NameAddresses, AreOnesOwnAndDeniedOutside) {
  NameAddresses addresses;
  const std::uint32_t a = addresses.address_of("a.test");
  const std::uint32_t b = addresses.address_of("b.test");
  EXPECT_NE(a, b);
  EXPECT_EQ(addresses.address_of("a.test"), a);
  EXPECT_EQ(addresses.name_of(b), "b.test");
  EXPECT_TRUE(NameAddresses::is_one(a));
  EXPECT_TRUE(is_always_denied(a, {}));
  EXPECT_EQ(addresses.name_of(b + 1), std::nullopt);
}

TEST(NameAddresses, ForgetTheOldestAndGiveItsAddressToNobodySoon) {
  NameAddresses addresses;
  const std::uint32_t first = addresses.address_of("first.test");
  for (std::size_t i = 0; i < NameAddresses::kMost; ++i) {
    const std::uint32_t next = addresses.address_of("n" + std::to_string(i) + ".test");
    EXPECT_NE(next, first);
    EXPECT_TRUE(NameAddresses::is_one(next));
  }
  EXPECT_EQ(addresses.name_of(first), std::nullopt);
  EXPECT_NE(addresses.address_of("first.test"), first);
}

TEST(NameAddresses, ComeAroundAtTheEndOfTheirRange) {
  NameAddresses addresses;
  for (std::uint32_t i = 0; i < 140'000; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    const std::uint32_t address = addresses.address_of(name);
    ASSERT_TRUE(address >= NameAddresses::kFirst && address <= NameAddresses::kLast);
    ASSERT_EQ(addresses.name_of(address), name);
  }
}

}  // namespace
}  // namespace lmsb::network
