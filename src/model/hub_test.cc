#include "model/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::model {
namespace {

using testing::HasSubstr;

HubFile file(const std::string& path) { return {path, std::string(64, 'a'), 1}; }

std::string chosen(const std::vector<HubFile>& files, const std::string& wanted) {
  const auto found = choose_file(files, {"org/repo", wanted});
  return std::string(found.ok() ? found->path : found.error().slug());
}

const std::vector<HubFile> kUsual = {file("m-Q2_K.gguf"),     file("m-Q4_K_S.gguf"),
                                     file("m-Q4_K_M.gguf"),   file("m-UD-Q4_K_M.gguf"),
                                     file("m-Q8_0.gguf"),     file("BF16/m-BF16-00001-of-00002.gguf"),
                                     file("x/m-IQ4_XS.gguf"), file("m.Q5_K_M-v2.gguf")};

TEST(ChooseFile, TakesTheUsualQuantisationWhereNoneIsNamed) {
  EXPECT_EQ(chosen(kUsual, ""), "m-Q4_K_M.gguf");
  EXPECT_EQ(chosen({file("m-Q8_0.gguf"), file("m-Q4_0.gguf")}, ""), "m-Q4_0.gguf");
  EXPECT_EQ(chosen({file("only.gguf")}, ""), "only.gguf");
  EXPECT_EQ(chosen({file("a.gguf"), file("b.gguf")}, ""), "model_not_there");
}

TEST(ChooseFile, TakesTheOneThatIsNamedAndNoneLikeIt) {
  EXPECT_EQ(chosen(kUsual, "q8_0"), "m-Q8_0.gguf");
  EXPECT_EQ(chosen(kUsual, "Q4_K"), "model_not_there");
  EXPECT_EQ(chosen(kUsual, "UD-Q4_K_M"), "m-UD-Q4_K_M.gguf");
  EXPECT_EQ(chosen(kUsual, "Q5_K_M"), "m.Q5_K_M-v2.gguf");
  EXPECT_EQ(chosen(kUsual, "x/m-IQ4_XS.gguf"), "x/m-IQ4_XS.gguf");
  EXPECT_EQ(chosen(kUsual, "other.gguf"), "model_not_there");
}

TEST(ChooseFile, SaysWhatThereIs) {
  const auto none = choose_file(kUsual, {"org/repo", "Q6_K"});
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().hint(), HasSubstr("m-Q2_K.gguf, m-Q4_K_S.gguf"));
  EXPECT_THAT(choose_file({}, {"org/repo", ""}).error().hint(), HasSubstr("GGUF in its name"));
}

TEST(ChooseFile, SaysOfAModelInPartsThatItIsOne) {
  EXPECT_EQ(chosen(kUsual, "BF16"), "model_in_parts");
  EXPECT_EQ(chosen(kUsual, "BF16/m-BF16-00001-of-00002.gguf"), "model_in_parts");
}

TEST(ReadFileList, LeavesOutWhatIsNoModel) {
  const std::string digest(64, 'B');
  const auto files = read_file_list(
      R"([{"type":"directory","path":"x.gguf"},{"type":"file","path":"README.md","size":3},)"
      R"({"type":"file","path":"mmproj-F16.gguf","size":3},{"type":"file","path":"a.imatrix.gguf","size":3},)"
      R"({"type":"file","path":"../../a.gguf","size":3},{"type":"file","path":"a?b.gguf","size":3},{"path":"c.gguf"},7,)"
      R"({"type":"file","path":"dir/a.gguf","size":9,"lfs":{"oid":")" +
      digest + R"(","size":9}},{"type":"file","path":"b.gguf","size":-4,"lfs":{"oid":"short"}}])");
  ASSERT_TRUE(files.ok()) << files.error().message();
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].path, "dir/a.gguf");
  EXPECT_EQ((*files)[0].sha256, std::string(64, 'b'));
  EXPECT_EQ((*files)[0].size, 9U);
  EXPECT_EQ((*files)[1].sha256, "");
  EXPECT_EQ((*files)[1].size, 0U);
}

TEST(ReadFileList, RefusesWhatIsNone) {
  for (const char* text : {"", "{}", "<html>", "[", "null"})
    EXPECT_EQ(read_file_list(text).error().slug(), "hub_nonsense") << text;
}

std::string layer(const std::string& kind, char digit) {
  return R"({"mediaType":"application/vnd.ollama.image.)" + kind + R"(","digest":"sha256:)" + std::string(64, digit) +
         R"(","size":5})";
}

Result<HubFile> of_layers(const std::string& layers) {
  return read_manifest(R"({"schemaVersion":2,"layers":[)" + layers + "]}", {"", "library", "m", "latest"});
}

TEST(ReadManifest, FindsTheModelAmongTheLayers) {
  const auto found = of_layers(layer("template", 'a') + "," + layer("model", 'b') + "," + layer("params", 'c'));
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->sha256, std::string(64, 'b'));
  EXPECT_EQ(found->size, 5U);
}

TEST(ReadManifest, RefusesWhatCannotBeDone) {
  EXPECT_EQ(of_layers(layer("model", 'a') + "," + layer("adapter", 'b')).error().slug(), "adapter_alone");
  EXPECT_EQ(of_layers(layer("model", 'a') + "," + layer("model", 'b')).error().slug(), "model_in_parts");
  EXPECT_EQ(of_layers(layer("tensor", 'a')).error().slug(), "model_not_there");
  EXPECT_EQ(of_layers(R"({"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../../x"})").error().slug(),
            "hub_nonsense");
  EXPECT_EQ(read_manifest("[]", {"", "library", "m", "latest"}).error().slug(), "hub_nonsense");
}

}  // namespace
}  // namespace lmsb::model
