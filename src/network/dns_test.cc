#include "network/dns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::network {
namespace {

using testing::ElementsAre;
using std::string_literals::operator""s;

// A query as programs send it: dns_question() with another type.
std::string query(std::string_view name, std::uint16_t type = kTypeA) {
  std::string text = dns_question(0x1234, name);
  text[text.size() - 3] = static_cast<char>(type);
  return text;
}

std::string answer_to(const std::string& question, std::vector<std::uint32_t> addresses, std::uint32_t ttl = 30) {
  return dns_answer(*parse_dns_query(question), DnsCode::ok, addresses, ttl);
}

TEST(DnsQuery, HasTheNameInItsNormalForm) {
  const auto parsed = parse_dns_query(query("Good.Test"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->id, 0x1234);
  EXPECT_EQ(parsed->name, "good.test");
  EXPECT_EQ(parsed->type, kTypeA);
  EXPECT_TRUE(parsed->wants_recursion);
  EXPECT_EQ(parse_dns_query(query("x.test", 28))->type, 28);
}

TEST(DnsQuery, IsNothingWhenItIsCutShortOrSomethingElse) {
  const std::string whole = query("good.test");
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse_dns_query(whole.substr(0, size))) << size;
  std::string answer = whole;
  answer[2] = static_cast<char>(0x81);
  EXPECT_FALSE(parse_dns_query(answer));
  std::string two = whole;
  two[5] = 2;
  EXPECT_FALSE(parse_dns_query(two));
  std::string pointer = whole.substr(0, 12) + "\xc0\x0c"s + whole.substr(whole.size() - 4);
  EXPECT_FALSE(parse_dns_query(pointer));
}

TEST(DnsQuery, HasNoNameWhereALabelHoldsADotOrWorse) {
  const std::string end = "\0\0\1\0\1"s;
  const std::string head = query("x").substr(0, 12);
  EXPECT_EQ(parse_dns_query(head +
                            "\x09"
                            "good.test"s +
                            end)
                ->name,
            "");
  EXPECT_EQ(parse_dns_query(head +
                            "\x04"
                            "a\0bc"s +
                            end)
                ->name,
            "");
  EXPECT_EQ(parse_dns_query(head + end)->name, "") << "the root";
}

TEST(DnsAnswer, ComesBackAsItWasSent) {
  const std::string question = dns_question(7, "good.test");
  const auto answer = parse_dns_answer(answer_to(question, {0x01020304, 0x05060708}), 7, "good.test");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, DnsCode::ok);
  EXPECT_THAT(answer->addresses, ElementsAre(0x01020304U, 0x05060708U));
  EXPECT_EQ(answer->ttl_seconds, 30U);
}

TEST(DnsAnswer, IsNothingForAnotherQuestion) {
  const std::string question = dns_question(7, "good.test");
  const std::string answer = answer_to(question, {1});
  EXPECT_FALSE(parse_dns_answer(answer, 8, "good.test"));
  EXPECT_FALSE(parse_dns_answer(answer, 7, "other.test"));
  EXPECT_FALSE(parse_dns_answer(question, 7, "good.test")) << "no answer";
  for (std::size_t size = 0; size < answer.size(); ++size)
    EXPECT_FALSE(parse_dns_answer(answer.substr(0, size), 7, "good.test")) << size;
}

TEST(DnsAnswer, KeepsTheAddressesOfAMessageThatSaysThatItIsCut) {
  std::string answer = answer_to(dns_question(7, "good.test"), {1, 2});
  answer.resize(answer.size() - 3);
  answer[2] = static_cast<char>(answer[2] | 0x02);
  EXPECT_THAT(parse_dns_answer(answer, 7, "good.test")->addresses, ElementsAre(1U));
}

TEST(DnsAnswer, TellsANameThatIsNotThereFromAServerThatFails) {
  const auto asked = *parse_dns_query(dns_question(7, "good.test"));
  const auto code = [&asked](DnsCode told) {
    return parse_dns_answer(dns_answer(asked, told, {}, 0), 7, "good.test")->code;
  };
  EXPECT_EQ(code(DnsCode::no_such_name), DnsCode::no_such_name);
  EXPECT_EQ(code(DnsCode::refused), DnsCode::failure);
  EXPECT_EQ(code(DnsCode::failure), DnsCode::failure);
}

}  // namespace
}  // namespace lmsb::network
