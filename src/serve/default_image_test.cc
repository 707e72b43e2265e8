#include "serve/default_image.h"

#include <filesystem>
#include <fstream>
#include <stdlib.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image/image_json.h"
#include "image/store.h"

namespace lmsb::serve {
namespace {

using testing::HasSubstr;

class FixedImage : public testing::Test {
 protected:
  FixedImage() {
    std::string name = testing::TempDir() + "lmsb-image-XXXXXX";
    config_.data_dir = ::mkdtemp(name.data());
  }
  ~FixedImage() override { std::filesystem::remove_all(config_.data_dir); }

  // A stored image, as far as finding it goes.
  void store(const std::string& name) const {
    const std::string directory = config_.data_dir + "/images/" + name;
    std::filesystem::create_directories(directory + "/rootfs");
    image::Image image = image::host_image();
    image.name = name;
    image.digest = "sha256:" + std::string(64, '0');
    image.created_at = "2026-01-01T00:00:00Z";
    std::ofstream(directory + "/image.json") << image::format_image(image);
  }
  std::string found() const {
    const auto image = find_default_image(config_);
    return image.ok() ? image->name + (image->is_chosen_now ? " now" : "") : image.error().message();
  }

  config::Config config_;
};

TEST_F(FixedImage, IsBaseWhereItWasMadeAndHostElsewhere) {
  EXPECT_EQ(found(), "host now");
  store("base");
  EXPECT_EQ(found(), "base now");
}

TEST_F(FixedImage, IsNotOneThatCannotBeUsed) {
  store("base");
  const auto image = find_default_image(config_, StoredImages::impossible);
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->name, "host");
}

TEST_F(FixedImage, StaysWhatTheFirstStartChose) {
  EXPECT_EQ(*fix_default_image(config_.data_dir, "host"), "host");
  store("base");
  EXPECT_EQ(found(), "host");
}

TEST_F(FixedImage, IsWhatTheSettingsSayBeforeAll) {
  EXPECT_EQ(*fix_default_image(config_.data_dir, "host"), "host");
  config_.default_image = "base";
  EXPECT_EQ(found(), "base");
}

TEST_F(FixedImage, IsTheChoiceOfWhoeverWasFirst) {
  EXPECT_EQ(*fix_default_image(config_.data_dir, "base"), "base");
  EXPECT_EQ(*fix_default_image(config_.data_dir, "host"), "base");
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(config_.data_dir)) files += entry.exists() ? 1 : 0;
  EXPECT_EQ(files, 1U);  // no draft is left
}

TEST_F(FixedImage, ThatIsGoneOrUnreadableIsAnErrorWithAWayOut) {
  EXPECT_EQ(*fix_default_image(config_.data_dir, "base"), "base");
  EXPECT_THAT(found(), HasSubstr("since the first start (" + config_.data_dir + "/default-image)"));
  EXPECT_THAT(find_default_image(config_).error().hint(), HasSubstr("--default-image host"));
  std::ofstream(config_.data_dir + "/default-image") << "../etc\n";
  EXPECT_THAT(found(), HasSubstr("holds no name of an image"));
}

}  // namespace
}  // namespace lmsb::serve
