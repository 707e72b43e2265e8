#include "cli/model_page.h"

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

std::string page_of(const std::string& text) {
  json::ParseFault fault;
  const auto document = json::Document::parse(text, fault);
  return document ? model_page(document->root()) : "no JSON";
}

TEST(HumanCount, HasThreeDigits) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1000), "1.00K");
  EXPECT_EQ(human_count(1'968'480), "1.97M");
  EXPECT_EQ(human_count(12'345'678'901), "12.3B");
  EXPECT_EQ(human_count(999'999'999), "1.00B");
  EXPECT_EQ(human_count(671e9), "671B");
  EXPECT_EQ(human_count(1e18), "1000000T");
}

TEST(ModelPage, HasALineForWhatIsKnown) {
  EXPECT_EQ(
      page_of(R"({"id":"tiny","kind":"model","name":"Tiny\u001b[31m","architecture":"llama","parameters":7241732096,)"
              R"("size_label":"7B","quantisation":"Q4_K_M","context_length":8192,"experts":8,"experts_used":2,)"
              R"("size_bytes":2126080,"part":null,"has_chat_template":true,"license":"apache-2.0","loaded":true,)"
              R"("memory":[{"context":4096,"total_bytes":1073741824},{"context":8192,"total_bytes":2147483648}]})"),
      "Model          tiny\n"
      "Name           Tiny?[31m\n"
      "Architecture   llama\n"
      "Parameters     7.24B (7B)\n"
      "Quantisation   Q4_K_M\n"
      "Context        8192 tokens\n"
      "Experts        8, 2 at once\n"
      "Size           2.0 MiB\n"
      "Memory         about 1.0 GiB for 4096 tokens\n"
      "               about 2.0 GiB for 8192 tokens\n"
      "Chat template  yes\n"
      "License        apache-2.0\n"
      "Loaded         yes\n");
}

TEST(ModelPage, LeavesOutWhatIsNot) {
  EXPECT_EQ(page_of(R"({"id":"x","kind":"projector","name":null,"architecture":null,"parameters":null,)"
                    R"("context_length":null,"experts":0,"size_bytes":512,"part":{"number":2,"of":3},)"
                    R"("has_chat_template":false,"license":null,"loaded":false,"memory":[]})"),
            "Model          x\n"
            "Kind           projector\n"
            "Size           512 B, part 2 of 3\n"
            "Chat template  no\n"
            "Loaded         no\n");
}

}  // namespace
}  // namespace lmsb::cli
