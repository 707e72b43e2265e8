#include "network/client_hello.h"

#include <gtest/gtest.h>

namespace lmsb::network {
namespace {

using State = Sniffed::State;

std::string number(std::size_t value, int octets) {
  std::string text;
  for (int shift = 8 * (octets - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

std::string vector(const std::string& content, int octets) { return number(content.size(), octets) + content; }

std::string extension(std::uint16_t type, const std::string& content) { return number(type, 2) + vector(content, 2); }

std::string server_name(const std::string& name, char type = 0) {
  return extension(0, vector(std::string(1, type) + vector(name, 2), 2));
}

std::string handshake(const std::string& extensions) {
  const std::string body = "\x03\x03" + std::string(32, 'r') + vector(std::string(32, 's'), 1) +
                           vector(std::string("\x13\x01", 2), 2) + vector(std::string(1, '\0'), 1) +
                           vector(extensions, 2);
  return "\x01" + vector(body, 3);
}

std::string record(const std::string& content) { return "\x16\x03\x01" + vector(content, 2); }

std::string hello(const std::string& extensions) { return record(handshake(extensions)); }

TEST(ClientHello, SaysWhomItIsFor) {
  const Sniffed sniffed =
      sniff_client_hello(hello(extension(10, "xx") + server_name("Good.test") + extension(16, "y")));
  EXPECT_EQ(sniffed.state, State::found);
  EXPECT_EQ(sniffed.name, "good.test");
}

TEST(ClientHello, IsWaitedForOctetByOctet) {
  const std::string whole = hello(server_name("good.test"));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(sniff_client_hello(whole.substr(0, size)).state, State::more) << size;
  EXPECT_EQ(sniff_client_hello(whole + "more").state, State::found);
}

TEST(ClientHello, IsPutTogetherFromRecords) {
  const std::string message = handshake(server_name("good.test"));
  for (std::size_t at = 1; at < message.size(); ++at) {
    const Sniffed sniffed = sniff_client_hello(record(message.substr(0, at)) + record(message.substr(at)));
    EXPECT_EQ(sniffed.state, State::found) << at;
    EXPECT_EQ(sniffed.name, "good.test");
  }
}

TEST(ClientHello, IsBadWithoutOneName) {
  EXPECT_EQ(sniff_client_hello(hello("")).state, State::bad);
  EXPECT_EQ(sniff_client_hello(hello(extension(10, "xx"))).state, State::bad);
  EXPECT_EQ(sniff_client_hello(hello(server_name("good.test") + server_name("evil.test"))).state, State::bad);
  const std::string two = extension(
      0, vector(std::string(1, '\0') + vector("good.test", 2) + std::string(1, '\0') + vector("evil.test", 2), 2));
  EXPECT_EQ(sniff_client_hello(hello(two)).state, State::bad);
  EXPECT_EQ(sniff_client_hello(hello(server_name("good.test", 1))).state, State::bad);
  for (const char* name : {"", "good.test.", "1.2.3.4", "a b", "good.test@evil.test"})
    EXPECT_EQ(sniff_client_hello(hello(server_name(name))).state, State::bad) << name;
  EXPECT_EQ(sniff_client_hello(hello(server_name(std::string("good.test\0evil", 14)))).state, State::bad);
}

TEST(ClientHello, IsBadWhenItHidesItsName) {
  EXPECT_EQ(sniff_client_hello(hello(server_name("good.test") + extension(0xfe0d, "secret"))).state, State::bad);
}

TEST(ClientHello, IsBadAsSomethingElse) {
  for (const std::string& octets :
       {std::string("GET / HTTP/1.1\r\n"), std::string("SSH-2.0-x\r\n"), std::string("\x16\x02"),
        std::string("\x15\x03\x01"), record("\x02xxx"), std::string("\x16\x03\x01\0\0", 5)})
    EXPECT_EQ(sniff_client_hello(octets).state, State::bad);
  std::string longer = hello(server_name("good.test"));
  longer[8] = static_cast<char>(longer[8] + 1);  // the message's length: what follows is missing
  EXPECT_EQ(sniff_client_hello(longer).state, State::more);
  std::string endless = record(std::string("\x01\x7f\xff\xff", 4));
  EXPECT_EQ(sniff_client_hello(endless).state, State::bad);
}

TEST(ClientHello, IsBadWhereALengthLies) {
  const std::string whole = hello(server_name("good.test"));
  for (std::size_t at = 9; at < whole.size(); ++at) {
    std::string text = whole;
    text[at] = static_cast<char>(0xff);
    const Sniffed sniffed = sniff_client_hello(text);
    EXPECT_TRUE(sniffed.state != State::found || sniffed.name == "good.test") << at;
  }
}

}  // namespace
}  // namespace lmsb::network
