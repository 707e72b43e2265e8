#include "control/networks.h"

#include <sys/socket.h>

#include <gtest/gtest.h>

#include "control/network_log.h"

namespace lmsb::control {
namespace {

using guest_protocol::GateNote;
using guest_protocol::GateResolver;

TEST(Resolvers, AreAddressesPerhapsWithAPort) {
  EXPECT_EQ(parse_resolver("1.2.3.4")->port, 53U);
  const GateResolver other = *parse_resolver("1.2.3.4:5353");
  EXPECT_EQ(other.port, 5353U);
  EXPECT_EQ(other.family, static_cast<std::uint32_t>(AF_INET));
  EXPECT_EQ(other.address[3], 4);
  EXPECT_EQ(parse_resolver("::1")->family, static_cast<std::uint32_t>(AF_INET6));
  EXPECT_EQ(parse_resolver("[fd00::1]:53")->port, 53U);
  for (const char* text : {"", "dns.test", "1.2.3.4:0", "1.2.3.4:x", "1.2.3.4:65536", "[::1", "[::1]53", "1.2.3"})
    EXPECT_FALSE(parse_resolver(text).ok()) << text;
}

TEST(Resolvers, AreTheFirstThreeOfResolvConf) {
  const auto found = parse_resolv_conf(
      "# nameserver 9.9.9.9\nsearch a.test\nnameserver 127.0.0.53\nnameserver\t::1 # x\nnameserver fe80::1%eth0\n"
      "nameserverx 1.1.1.1\nnameserver 1.2.3.4\nnameserver 5.6.7.8");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].address[3], 53);
  EXPECT_EQ(found[1].family, static_cast<std::uint32_t>(AF_INET6));
  EXPECT_EQ(found[2].address[0], 1);
  EXPECT_TRUE(parse_resolv_conf("").empty());
}

GateNote note_of(const char* name) {
  GateNote note;
  note.is_event = 1;
  note.verdict = guest_protocol::GateVerdict::not_listed;
  note.port = 443;
  (void)std::string_view(name).copy(note.name.data(), note.name.size() - 1);
  note.refused = 3;
  return note;
}

TEST(NetworkLog, KeepsTheNewestEventsAndAddsUpTheCountsOfGates) {
  NetworkLog log;
  std::optional<NetworkEvent> event;
  for (std::size_t i = 0; i < NetworkLog::kMostEvents + 10; ++i)
    EXPECT_TRUE(log.take(note_of("evil.test"), 100 * i, event));
  EXPECT_EQ(event->verdict, "not_listed");
  EXPECT_EQ(event->name, "evil.test");
  EXPECT_EQ(log.events().size(), NetworkLog::kMostEvents);
  log.begin_anew();
  EXPECT_TRUE(log.take(note_of("evil.test"), 1, event));
  EXPECT_EQ(log.counts().refused, 6U);
}

// One that tells without end would keep the daemon from everything else.
TEST(NetworkLog, HearsNoGateThatTellsMoreThanOneOfOursDoes) {
  NetworkLog log;
  std::optional<NetworkEvent> event;
  for (std::uint64_t i = 0; i < 2 * NetworkLog::kNotesPerSecond; ++i) EXPECT_TRUE(log.take(GateNote(), 1, event)) << i;
  EXPECT_FALSE(log.take(GateNote(), 1, event));
  EXPECT_TRUE(log.take(GateNote(), 1001, event)) << "a second later";
  log.begin_anew();
  EXPECT_TRUE(log.take(GateNote(), 1001, event)) << "of another gate";
}

// A gate reads what sandboxes send.
TEST(NetworkLog, TakesNothingThatNoGateOfOursTells) {
  NetworkLog log;
  std::optional<NetworkEvent> event;
  EXPECT_FALSE(log.take(note_of("a b\n"), 1, event));
  EXPECT_FALSE(log.take(note_of("EVIL.test"), 1, event));
  GateNote endless = note_of("");
  endless.name.fill('a');
  EXPECT_FALSE(log.take(endless, 1, event));
  GateNote port = note_of("a.test");
  port.port = 65536;
  EXPECT_FALSE(log.take(port, 1, event));
  GateNote verdict = note_of("a.test");
  verdict.verdict = guest_protocol::GateVerdict::count;
  EXPECT_FALSE(log.take(verdict, 1, event));
  GateNote subject = note_of("a.test");
  subject.subject = guest_protocol::GateSubject::count;
  EXPECT_FALSE(log.take(subject, 1, event));
  GateNote credential = note_of("a.test");
  credential.credential = {"A b"};
  EXPECT_FALSE(log.take(credential, 1, event));
  credential.credential.fill('a');
  EXPECT_FALSE(log.take(credential, 1, event));
  credential.is_event = 0;
  EXPECT_FALSE(log.take(credential, 1, event)) << "what it asks for has an end, too";
}

TEST(NetworkLog, KeepsWhatTheDaemonRefusesBesideIt) {
  NetworkLog log;
  std::optional<NetworkEvent> event;
  GateNote note = note_of("api.example");
  note.subject = guest_protocol::GateSubject::credential;
  note.credential = {"api"};
  ASSERT_TRUE(log.take(note, 1, event));
  EXPECT_EQ(event->credential, "api");
  EXPECT_EQ(event->subject, guest_protocol::GateSubject::credential);
  NetworkEvent own;
  own.verdict = "no_secret";
  log.add(own);
  EXPECT_EQ(log.events().back().verdict, "no_secret");
  EXPECT_EQ(log.counts().refused, 4U);
}

}  // namespace
}  // namespace lmsb::control
