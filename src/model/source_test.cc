#include "model/source.h"

#include <gtest/gtest.h>

namespace lmsb::model {
namespace {

template <class Kind>
Kind parsed(const std::string& text) {
  const auto source = parse_source(text);
  EXPECT_TRUE(source.ok()) << text << (source.ok() ? "" : source.error().message());
  const Kind* kind = source.ok() ? std::get_if<Kind>(&*source) : nullptr;
  EXPECT_NE(kind, nullptr) << text;
  return kind == nullptr ? Kind() : *kind;
}

TEST(Source, IsAFileOrAUrl) {
  EXPECT_EQ(parsed<FileSource>("/srv/a b.gguf").path, "/srv/a b.gguf");
  EXPECT_EQ(parsed<UrlSource>("https://models.example/a.gguf?x=1").url, "https://models.example/a.gguf?x=1");
}

TEST(Source, IsARepositoryOfHuggingFaceAsOthersWriteItToo) {
  for (const char* prefix : {"hf:", "hf.co/", "huggingface.co/"}) {
    const auto plain = parsed<HuggingFaceSource>(std::string(prefix) + "Org/Small-GGUF");
    EXPECT_EQ(plain.repository, "Org/Small-GGUF");
    EXPECT_EQ(plain.wanted, "");
    EXPECT_EQ(parsed<HuggingFaceSource>(std::string(prefix) + "Org/Small-GGUF:Q8_0").wanted, "Q8_0");
  }
  EXPECT_EQ(parsed<HuggingFaceSource>("hf:a/b:dir/c-Q8_0.gguf").wanted, "dir/c-Q8_0.gguf");
}

TEST(Source, IsANameOfARegistry) {
  const auto plain = parsed<RegistrySource>("llama3.2");
  EXPECT_EQ(plain.host + "|" + plain.space + "|" + plain.model + "|" + plain.tag, "|library|llama3.2|latest");
  const auto whole = parsed<RegistrySource>("models.example:5000/me/mine:3b-q8_0");
  EXPECT_EQ(whole.host + "|" + whole.space + "|" + whole.model + "|" + whole.tag,
            "models.example:5000|me|mine|3b-q8_0");
  EXPECT_EQ(parsed<RegistrySource>("me/mine").space, "me");
}

TEST(Source, KeepsModelsOfARegistryUnderTheirNames) {
  EXPECT_EQ(name_of(parsed<RegistrySource>("llama3.2")), "llama3.2");
  EXPECT_EQ(name_of(parsed<RegistrySource>("llama3.2:latest")), "llama3.2");
  EXPECT_EQ(name_of(parsed<RegistrySource>("llama3.2:3b")), "llama3.2:3b");
  EXPECT_EQ(name_of(parsed<RegistrySource>("me/mine:3b")), "me-mine:3b");
}

TEST(Source, RefusesWhatLeadsElsewhere) {
  for (const char* text : {"",
                           ":",
                           "a:",
                           ":b",
                           "a/b/c",
                           "..",
                           "../a",
                           "a/..",
                           "hf:",
                           "hf:a",
                           "hf:a/b/c",
                           "hf:a/..",
                           "hf:a/b:",
                           "hf:a/b:../c.gguf",
                           "hf:a/b:/c.gguf",
                           "hf:a/b:c//d.gguf",
                           "hf:a/b?x",
                           "hf:a/b:c?d",
                           "hf:a /b",
                           "file:///etc/passwd",
                           "a b",
                           "a\n",
                           "a:b:c",
                           "ftp://x/y",
                           "host.example/a/b/c",
                           "-a",
                           "a/-b"}) {
    const auto refused = parse_source(text);
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(refused.error().slug(), "invalid_source") << text;
  }
  EXPECT_FALSE(parse_source(std::string(3000, 'a')).ok());
}

}  // namespace
}  // namespace lmsb::model
