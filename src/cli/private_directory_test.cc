#include "cli/private_directory.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

class PrivateDirectoryTest : public ::testing::Test {
 protected:
  PrivateDirectoryTest() {
    std::string name = "/tmp/lm-sandbox-directory-test-XXXXXX";
    parent_ = ::mkdtemp(name.data());
  }
  ~PrivateDirectoryTest() override { std::filesystem::remove_all(parent_); }
  std::string parent_;
};

TEST_F(PrivateDirectoryTest, IsGoneWithItsContentWhenItsOwnerIs) {
  std::string path;
  {
    const auto directory = PrivateDirectory::create_below(parent_);
    ASSERT_TRUE(directory.ok());
    path = directory->path();
    std::ofstream(path + "/file") << "x";
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(PrivateDirectoryTest, RemovesThoseWhoseOwnerIsGoneAndNoOthers) {
  const std::string abandoned = parent_ + "/lm-sandbox-private-abcdef";
  const std::string other = parent_ + "/something-else";
  std::filesystem::create_directories(abandoned + "/run");
  std::filesystem::create_directory(other);
  const auto living = PrivateDirectory::create_below(parent_);
  const auto second = PrivateDirectory::create_below(parent_);
  ASSERT_TRUE(living.ok());
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(std::filesystem::exists(abandoned));
  EXPECT_TRUE(std::filesystem::exists(other));
  EXPECT_TRUE(std::filesystem::exists(living->path()));
}

TEST_F(PrivateDirectoryTest, FollowsNoLinkThatHasItsName) {
  const std::string precious = parent_ + "/precious";
  std::filesystem::create_directory(precious);
  std::filesystem::create_directory_symlink(precious, parent_ + "/lm-sandbox-private-link");
  ASSERT_TRUE(PrivateDirectory::create_below(parent_).ok());
  EXPECT_TRUE(std::filesystem::exists(precious));
}

}  // namespace
}  // namespace lmsb::cli
