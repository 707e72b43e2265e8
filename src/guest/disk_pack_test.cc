#include "guest/disk_pack.h"

#include <array>
#include <cstdlib>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.h"

namespace lmsb::guest {
namespace {

constexpr std::uint64_t kKiB = 1024;

// A file with so many holes of so many octets, each before 4 KiB that are there.
UniqueFd file_with_holes(std::size_t count, std::uint64_t hole) {
  std::string path = "/tmp/lmsb-holes-XXXXXX";
  UniqueFd file(::mkstemp(path.data()));
  ::unlink(path.c_str());
  const std::string octets(4 * kKiB, 'x');
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = static_cast<off_t>(i * (hole + octets.size()) + hole);
    EXPECT_EQ(::pwrite(file.get(), octets.data(), octets.size(), at), static_cast<ssize_t>(octets.size()));
  }
  return file;
}

struct Found {
  bool has_holes = false;
  std::size_t count = 0;
  std::uint64_t octets = 0;
  Extent first;
};

Found look(const UniqueFd& file, std::size_t room = 20) {
  std::vector<Extent> extents(room);
  const auto size = static_cast<std::uint64_t>(::lseek(file.get(), 0, SEEK_END));
  Found found;
  found.has_holes = find_extents(file.get(), size, extents, found.count);
  for (std::size_t i = 0; i < found.count; ++i) found.octets += extents[i].size;
  found.first = extents[0];
  return found;
}

bool knows_holes() { return look(file_with_holes(1, 1024 * kKiB)).has_holes; }

TEST(FindExtents, TellsPartsFromHoles) {
  if (!knows_holes()) GTEST_SKIP() << "the file system of /tmp keeps no holes";
  const Found found = look(file_with_holes(3, 128 * kKiB));
  EXPECT_TRUE(found.has_holes);
  EXPECT_EQ(found.count, 3U);
  EXPECT_EQ(found.octets, 12 * kKiB);
  EXPECT_EQ(found.first.offset, 128 * kKiB);
}

TEST(FindExtents, TakesWhatTheKernelDoesNotSayForOctets) {
  std::array<Extent, 4> extents{};
  std::size_t count = 0;
  EXPECT_FALSE(find_extents(-1, 1024 * kKiB, extents, count)) << "EBADF is no hole";
  EXPECT_EQ(count, 1U);
  EXPECT_EQ(extents[0].offset, 0U);
  EXPECT_EQ(extents[0].size, 1024 * kKiB);
}

TEST(FindExtents, TakesShortHolesForOctets) {
  const Found found = look(file_with_holes(10, 8 * kKiB));
  EXPECT_FALSE(found.has_holes);
}

TEST(FindExtents, TakesLongerOnesForOctetsWhereThereIsNoRoom) {
  if (!knows_holes()) GTEST_SKIP() << "the file system of /tmp keeps no holes";
  const UniqueFd file = file_with_holes(30, 128 * kKiB);
  EXPECT_EQ(look(file, 31).count, 30U);
  EXPECT_LT(look(file, 30).count, 30U) << "the last place is for where the last hole ends";
}

TEST(FindExtents, OfAnEmptyFileOrOneHoleThereIsNoPart) {
  const UniqueFd file = file_with_holes(0, 0);
  EXPECT_EQ(look(file).count, 0U);
  ASSERT_EQ(::ftruncate(file.get(), 1 << 20), 0);
  const Found found = look(file);
  EXPECT_TRUE(!knows_holes() || (found.has_holes && found.count == 0));
}

}  // namespace
}  // namespace lmsb::guest
