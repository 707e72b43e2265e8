#include <gtest/gtest.h>

#include "json/reader.h"
#include "json/writer.h"

namespace lmsb::json {
namespace {

Document parse(std::string_view text) {
  ParseFault fault;
  auto document = Document::parse(text, fault);
  EXPECT_TRUE(document) << fault.message;
  return std::move(*document);
}

TEST(Document, SaysWhereATextStopsBeingJson) {
  ParseFault fault;
  EXPECT_FALSE(Document::parse("{\"a\": nope}", fault));
  EXPECT_GE(fault.position, 5U);
  EXPECT_FALSE(Document::parse("", fault));
  EXPECT_FALSE(Document::parse("{} x", fault));
}

TEST(Document, RefusesDeepNesting) {
  ParseFault fault;
  EXPECT_FALSE(Document::parse(std::string(100000, '['), fault));
}

TEST(ObjectReader, TakesTypedFields) {
  const auto document = parse(R"({"s":"x","i":3,"d":0.5,"b":true,"l":["a"],"m":{"k":"v"}})");
  Faults faults;
  ObjectReader reader(document.root(), faults);
  std::string s;
  std::int64_t i = 0;
  double d = 0;
  bool b = false;
  std::vector<std::string> l;
  std::map<std::string, std::string> m;
  EXPECT_TRUE(reader.string("s", s) && reader.integer("i", i, 0, 9) && reader.number("d", d, 0, 1) &&
              reader.boolean("b", b));
  EXPECT_TRUE(reader.strings("l", l) && reader.string_map("m", m));
  reader.refuse_others();
  EXPECT_TRUE(faults.empty());
  EXPECT_EQ(m["k"], "v");
}

TEST(ObjectReader, CollectsEverythingThatIsWrong) {
  const auto document = parse(R"({"a":1,"commnd":2,"l":["x",3]})");
  Faults faults;
  ObjectReader reader(document.root(), faults);
  std::string text;
  std::vector<std::string> list;
  reader.string("a", text);
  reader.string("command", text, Need::required);
  reader.strings("l", list);
  reader.refuse_others();
  ASSERT_EQ(faults.size(), 4U);
  EXPECT_EQ(faults[0].type, "string_type");
  EXPECT_EQ(faults[0].input, "1");
  EXPECT_EQ(faults[1].type, "missing");
  EXPECT_EQ(format_location(faults[2].location), "l[1]");
  EXPECT_NE(faults[3].message.find("did you mean command?"), std::string::npos);
}

TEST(Document, RefusesWhatWouldTakeFarMoreMemoryThanItsText) {
  std::string zeros = "[0";
  for (int i = 0; i < 4'000'000; ++i) zeros += ",0";
  ParseFault fault;
  EXPECT_FALSE(Document::parse(zeros + "]", fault));
  EXPECT_EQ(fault.message, "too many values");
}

TEST(Document, SaysNumbersThatNoDoubleHoldsAsNull) {
  EXPECT_EQ(parse(R"([1e999,{"a":-1e999},0e999,1.5,"1e999"])").root().text(),
            R"([null,{"a":null},null,1.5E0,"1e999"])");
}

TEST(Writer, SaysLargeNumbersWhole) {
  for (const double number : {1.5, -9e61, 1e308}) {
    Writer writer;
    writer.number(number);
    EXPECT_EQ(parse(std::move(writer).str()).root().number(), number);
  }
}

TEST(Document, ReadsALargeString) {
  const std::string large(20'000'000, 'x');
  EXPECT_EQ(parse("\"" + large + "\"").root().string(), large);
}

TEST(Document, RefusesWhatIsNotUtf8) {
  ParseFault fault;
  EXPECT_FALSE(Document::parse("\"\xff\"", fault));
  EXPECT_FALSE(Document::parse(R"("\ud800")", fault));
}

TEST(ObjectReader, NamesNoMoreFaultsThanAreOfUse) {
  std::string many = "{\"x\":0";
  for (int i = 0; i < 1000; ++i) many += ",\"y" + std::to_string(i) + "\":\"" + std::string(10'000, 'z') + "\"";
  const auto document = parse(many + "}");
  Faults faults;
  ObjectReader reader(document.root(), faults);
  reader.raw("x");
  reader.refuse_others();
  EXPECT_EQ(faults.size(), 20U);
  EXPECT_LT(faults[0].input.size(), 5000U);
  EXPECT_NE(faults[0].message.find("did you mean x?"), std::string::npos);
}

TEST(ObjectReader, SpendsNoTimeOnSuggestionsForHugeNames) {
  const auto document = parse("{\"" + std::string(5'000'000, 'n') + "\":1}");
  Faults faults;
  ObjectReader reader(document.root(), faults);
  reader.raw("name");
  reader.refuse_others();
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].message, "Extra inputs are not permitted");
}

TEST(Writer, EscapesAndMendsStrings) {
  Writer w;
  w.begin_object().key("a\"").string("x\n\xff").key("l").begin_array().integer(-1).null().end_array().end_object();
  EXPECT_EQ(std::move(w).str(), "{\"a\\\"\":\"x\\n\xEF\xBF\xBD\",\"l\":[-1,null]}");
}

}  // namespace
}  // namespace lmsb::json
