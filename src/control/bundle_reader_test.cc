#include "control/bundle_reader.h"

#include <gtest/gtest.h>

#include "guest_protocol/bundle.h"

namespace lmsb::control {
namespace {

using guest_protocol::BundleEntry;

std::string entry(const std::string& path, const std::string& content, int error = 0) {
  BundleEntry header{};
  header.magic = guest_protocol::kBundleMagic;
  header.path_size = static_cast<std::uint32_t>(path.size());
  header.content_size = content.size();
  header.error = error;
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + path + content;
}

TEST(ReadBundle, GivesTheFilesThatCouldBeRead) {
  const Bundle bundle = read_bundle(entry("a", "hello") + entry("gone", "", 2) + entry("dir/b", ""));
  const auto& files = bundle.files;
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].path, "a");
  EXPECT_EQ(files[0].data, "hello");
  EXPECT_EQ(files[1].path, "dir/b");
  EXPECT_EQ(bundle.errors, (std::map<std::string, int>{{"gone", 2}}));
}

TEST(ReadBundle, StopsAtWhatIsCutOffOrNoEntry) {
  const std::string whole = entry("a", "hello") + entry("b", "world");
  for (std::size_t size = entry("a", "hello").size(); size < whole.size(); ++size)
    EXPECT_EQ(read_bundle(std::string_view(whole).substr(0, size)).files.size(), 1U) << size;
  EXPECT_EQ(read_bundle(entry("a", "") + std::string(sizeof(BundleEntry), 'x') + entry("b", "")).files.size(), 1U);
}

TEST(ReadBundle, TakesNoMoreFilesAndNoLongerPathsThanAreEverAskedFor) {
  std::string many;
  for (std::uint32_t i = 0; i < guest_protocol::kMaxBundleFiles + 5; ++i) many += entry("", "");
  EXPECT_EQ(read_bundle(many).files.size(), guest_protocol::kMaxBundleFiles);
  EXPECT_TRUE(read_bundle(entry(std::string(guest_protocol::kMaxBundlePath + 1, 'a'), "")).files.empty());
}

}  // namespace
}  // namespace lmsb::control
