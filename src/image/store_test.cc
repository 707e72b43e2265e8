#include "image/store.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "image/image_json.h"
#include "image/store_dir.h"
#include "sandbox/image_directory.h"

namespace lmsb::image {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Image example() {
  Image image;
  image.name = "base";
  image.digest = "sha256:" + std::string(64, 'a');
  image.created_at = "2026-01-02T03:04:05Z";
  image.size = Bytes(123456);
  image.user = "user";
  image.env = {"PATH=/bin", "QUOTE=\"\\\n"};
  image.workdir = "/workspace";
  image.description = "an example \xc3\xa9";
  return image;
}

// A data directory of its own for each test.
class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/lmsb-store-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    data_dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(data_dir_); }

  void put(const std::string& name, const std::string& json) {
    const std::string directory = data_dir_ + "/images/" + name;
    std::filesystem::create_directories(directory + "/rootfs");
    std::ofstream(directory + "/image.json") << json;
  }
  void put(const Image& image) { put(image.name, format_image(image)); }
  bool exists(const std::string& name) const { return std::filesystem::exists(data_dir_ + "/images/" + name); }

  std::string data_dir_;
};

TEST(ImageName, IsLowerCaseAndNeverAPath) {
  for (const char* good : {"base", "a", "0", "my-image_1.2"}) EXPECT_TRUE(is_image_name(good)) << good;
  for (const char* bad : {"", ".", "..", ".base", "-base", "_base", "a/b", "Base", "a b", "a\n"})
    EXPECT_FALSE(is_image_name(bad)) << bad;
  EXPECT_TRUE(is_image_name(std::string(63, 'a')));
  EXPECT_FALSE(is_image_name(std::string(64, 'a')));
  EXPECT_FALSE(is_image_name(std::string_view("a\0b", 3)));
}

TEST(ImageJson, ReadsBackWhatItWrote) {
  const auto read = parse_image(format_image(example()));
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->name, "base");
  EXPECT_EQ(read->digest, example().digest);
  EXPECT_EQ(read->created_at, example().created_at);
  EXPECT_EQ(read->size, Bytes(123456));
  EXPECT_EQ(read->env, example().env);
  EXPECT_EQ(read->workdir, "/workspace");
  EXPECT_EQ(read->description, example().description);
}

TEST(ImageJson, NamesTheKeyThatIsWrong) {
  const auto message = [](auto&& change) {
    Image image = example();
    change(image);
    const auto read = parse_image(format_image(image));
    return read.ok() ? std::string() : read.error().message();
  };
  EXPECT_THAT(message([](Image& image) { image.name = "../x"; }), HasSubstr("name"));
  EXPECT_THAT(message([](Image& image) { image.digest = "sha256:xyz"; }), HasSubstr("digest"));
  EXPECT_THAT(message([](Image& image) { image.workdir = "here"; }), HasSubstr("workdir"));
  EXPECT_THAT(message([](Image& image) { image.env = {"=x"}; }), HasSubstr("env"));
  EXPECT_THAT(message([](Image& image) { image.env = {"NOVALUE"}; }), HasSubstr("env"));
  EXPECT_THAT(message([](Image& image) { image.user = ""; }), HasSubstr("user"));
}

TEST(ImageJson, RefusesFilesOfAnotherRangeOfIds) {
  const std::string text = format_image(example());
  const std::string key = "\"id_base\": " + std::to_string(kImageRangeBase);
  for (const char* other : {"\"id_base\": 524288", "\"workdir\": \"/\""}) {  // of another version; none at all
    std::string changed = text;
    changed.replace(changed.find(key), key.size(), other);
    const auto read = parse_image(changed);
    ASSERT_FALSE(read.ok());
    EXPECT_THAT(read.error().message(), HasSubstr("another version of lm-sandbox"));
  }
}

TEST(ImageJson, RefusesTextThatIsNotOurs) {
  for (const char* text : {"", "[]", "{", "{}", "null", "{\"name\":\"base\",\"more\":1}"})
    EXPECT_FALSE(parse_image(text).ok()) << text;
  EXPECT_FALSE(parse_image(std::string(kImageJsonMax + 1, ' ')).ok());
}

// Who could execute its setuid programs by their path would become the owner of all images.
TEST_F(StoreTest, IsClosedToUsers) {
  const std::string path = data_dir_ + "/images";
  ASSERT_TRUE(std::filesystem::create_directory(path));
  ASSERT_EQ(::chmod(path.c_str(), 0755), 0);  // as an earlier version made it
  ASSERT_TRUE(StoreDir::create(path).ok());
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0750U);
  EXPECT_TRUE(::geteuid() != 0 || info.st_gid == sandbox::kImagesGid);
}

TEST_F(StoreTest, HasTheHostImageWithoutAnyDirectory) {
  const Store store(data_dir_);
  const auto listing = store.list();
  ASSERT_TRUE(listing.ok());
  ASSERT_THAT(listing->images, SizeIs(1));
  EXPECT_EQ(listing->images[0].name, "host");
  const auto host = store.find("host");
  ASSERT_TRUE(host.ok());
  EXPECT_EQ(host->digest, "host");
  EXPECT_THAT(host->rootfs, IsEmpty());
}

TEST_F(StoreTest, FindsWhatIsThereAndWhereItsFilesAre) {
  put(example());
  const auto image = Store(data_dir_).find("base");
  ASSERT_TRUE(image.ok()) << image.error().message();
  EXPECT_EQ(image->rootfs, data_dir_ + "/images/base/rootfs");
}

TEST_F(StoreTest, SaysHowToMakeAnImageThatWeKnow) {
  const auto image = Store(data_dir_).find("llama");
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.error().slug(), "image_not_found");
  EXPECT_THAT(image.error().hint(), HasSubstr("image build llama"));
}

TEST_F(StoreTest, RefusesANameThatIsAPath) {
  EXPECT_EQ(Store(data_dir_).find("../base").error().code(), ErrorCode::invalid_argument);
}

TEST_F(StoreTest, ListsABrokenImageAsBrokenAndTheOthersStill) {
  put(example());
  put("other", "{}");
  put("renamed", format_image(example()));
  put(".build-half", "");
  const auto listing = Store(data_dir_).list();
  ASSERT_TRUE(listing.ok());
  ASSERT_THAT(listing->images, SizeIs(2));
  EXPECT_EQ(listing->images[1].name, "base");
  EXPECT_THAT(listing->broken, SizeIs(2));
}

TEST_F(StoreTest, RemovesAnImageAndItsFiles) {
  put(example());
  ASSERT_TRUE(Store(data_dir_).remove("base").ok());
  EXPECT_TRUE(std::filesystem::is_empty(data_dir_ + "/images"));
  EXPECT_EQ(Store(data_dir_).remove("base").error().slug(), "image_not_found");
  EXPECT_FALSE(Store(data_dir_).remove("host").ok());
}

TEST_F(StoreTest, KeepsThePinnedFilesOfARemovedImageUntilTheyAreLetGo) {
  put(example());
  Store store(data_dir_);
  auto pin = Store::pin(*store.find("base"));
  ASSERT_TRUE(pin.ok());
  ASSERT_TRUE(store.remove("base").ok());
  EXPECT_FALSE(store.find("base").ok());
  EXPECT_FALSE(std::filesystem::is_empty(data_dir_ + "/images"));
  pin->reset();
  ASSERT_TRUE(StoreDir::open(store.directory())->remove_leftovers().ok());
  EXPECT_TRUE(std::filesystem::is_empty(data_dir_ + "/images"));
}

TEST_F(StoreTest, ReplacesAnImageInOneStep) {
  put(example());
  const auto store = StoreDir::open(data_dir_ + "/images");
  ASSERT_TRUE(store.ok()) << store.error().message();
  const auto staging = store->make_staging();
  ASSERT_TRUE(staging.ok());
  std::ofstream(store->path_of(*staging) + "/new") << "new";
  ASSERT_TRUE(store->publish(*staging, "base").ok());
  EXPECT_TRUE(exists("base/new"));
  EXPECT_TRUE(exists(*staging + "/image.json"));
  ASSERT_TRUE(store->remove_leftovers().ok());
  EXPECT_FALSE(exists(*staging));
}

TEST_F(StoreTest, LetsOneProcessChangeItAtATime) {
  const auto first = StoreDir::create(data_dir_ + "/images");
  ASSERT_TRUE(first.ok()) << first.error().message();
  const auto second = StoreDir::open(data_dir_ + "/images");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::failed_precondition);
}

TEST_F(StoreTest, RefusesADirectoryThatOthersCanWrite) {
  std::filesystem::create_directories(data_dir_ + "/images");
  ASSERT_EQ(::chmod((data_dir_ + "/images").c_str(), 0777), 0);
  EXPECT_FALSE(StoreDir::open(data_dir_ + "/images").ok());
}

TEST_F(StoreTest, RefusesWhenTheDiskHasNoRoom) {
  const auto store = StoreDir::create(data_dir_ + "/images");
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE(store->require_space(1).ok());
  EXPECT_EQ(store->require_space(~0ULL).error().code(), ErrorCode::resource_exhausted);
}

}  // namespace
}  // namespace lmsb::image
