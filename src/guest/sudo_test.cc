#include <array>
#include <csignal>
#include <cstring>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "guest/sudo_arguments.h"
#include "guest/sudo_door.h"
#include "guest/sudo_message.h"
#include "guest/sudo_users.h"

namespace lmsb::guest {
namespace {

using Action = SudoArguments::Action;
using Words = std::vector<std::string>;

// A command line that lives as long as what was made of it.
struct Typed {
  explicit Typed(Words typed) : words(std::move(typed)) {
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    parsed = parse_sudo(pointers.data());
  }
  Words command() const {
    Words all;
    for (char** word = parsed.command; *word != nullptr; ++word) all.emplace_back(*word);
    return all;
  }
  Words assignments() const {
    return {parsed.assignments.begin(),
            parsed.assignments.begin() + static_cast<std::ptrdiff_t>(parsed.assignment_count)};
  }
  Words words;
  std::vector<char*> pointers;
  SudoArguments parsed;
};

TEST(SudoArguments, EndWhereTheCommandBegins) {
  EXPECT_EQ(Typed({"ls", "-u", "x"}).command(), (Words{"ls", "-u", "x"}));
  EXPECT_EQ(Typed({"-n", "ls", "-l"}).command(), (Words{"ls", "-l"}));
  EXPECT_EQ(Typed({"--", "A=1"}).command(), (Words{"A=1"}));
  EXPECT_EQ(Typed({"-u", "x", "--", "-c"}).command(), (Words{"-c"}));
  EXPECT_EQ(Typed({"-"}).command(), (Words{"-"}));
}

TEST(SudoArguments, HaveValuesInEveryForm) {
  for (const Words& form : {Words{"-u", "x", "id"}, Words{"-ux", "id"}, Words{"-nux", "id"}, Words{"--user", "x", "id"},
                            Words{"--user=x", "id"}, Words{"-Eu", "x", "id"}}) {
    const Typed typed(form);
    ASSERT_EQ(typed.parsed.action, Action::run);
    EXPECT_STREQ(typed.parsed.user, "x");
    EXPECT_EQ(typed.command(), Words{"id"});
  }
  const Typed more({"-g", "#5", "-D", "/tmp", "--preserve-env=A,B", "id"});
  EXPECT_STREQ(more.parsed.group, "#5");
  EXPECT_STREQ(more.parsed.directory, "/tmp");
  EXPECT_STREQ(more.parsed.kept, "A,B");
  EXPECT_FALSE(more.parsed.keeps_all);
  EXPECT_TRUE(Typed({"-E", "id"}).parsed.keeps_all);
  EXPECT_TRUE(Typed({"--preserve-env", "id"}).parsed.keeps_all);
}

TEST(SudoArguments, MayNameVariablesAmongOptionsAndLeaveTheirOrder) {
  const Typed typed({"-u", "x", "A=1", "-E", "B=a/b", "id", "C=3"});
  EXPECT_EQ(typed.assignments(), (Words{"A=1", "B=a/b"}));
  EXPECT_EQ(typed.command(), (Words{"id", "C=3"}));
  EXPECT_STREQ(typed.parsed.user, "x");
  EXPECT_STREQ(typed.pointers[0], "-u") << "who gets it next reads the same";
  EXPECT_EQ(Typed({"/opt/a=b/run"}).command(), (Words{"/opt/a=b/run"}));
  EXPECT_EQ(Typed({"=x"}).command(), (Words{"=x"}));
  EXPECT_EQ(Typed(Words(257, "A=1")).parsed.action, Action::wrong);
}

TEST(SudoArguments, ThatAskForNoCommandAreKnown) {
  EXPECT_EQ(Typed({"-v"}).parsed.action, Action::nothing);
  EXPECT_EQ(Typed({"-k"}).parsed.action, Action::nothing);
  EXPECT_EQ(Typed({"-K"}).parsed.action, Action::nothing);
  EXPECT_EQ(Typed({"-k", "id"}).parsed.action, Action::run);
  EXPECT_EQ(Typed({"-nl"}).parsed.action, Action::list);
  EXPECT_EQ(Typed({"--help"}).parsed.action, Action::help);
  EXPECT_EQ(Typed({"-V"}).parsed.action, Action::version);
  for (const char* flag : {"-i", "-s", "--login", "--shell"}) EXPECT_EQ(Typed({flag}).parsed.action, Action::run);
}

TEST(SudoArguments, ThatMakeNoSenseAreRefused) {
  for (const Words& wrong :
       {Words{}, Words{"-u"}, Words{"-n"}, Words{"--user"}, Words{"-e", "f"}, Words{"-b", "id"},
        Words{"--nothing", "id"}, Words{"--login=x"}, Words{"-i", "-s"}, Words{"A=1"}, Words{"--"}})
    EXPECT_EQ(Typed(wrong).parsed.action, Action::wrong) << ::testing::PrintToString(wrong);
}

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/bash\nbroken\nfar:x:65535:0::/:/bin/sh\nwww:x:33:34:web:/var/www:/bin/sh\n";
constexpr std::string_view kGroup = "root:x:0:\nwww:x:34:\nadm:x:4:syslog,www\ndisk:x:6:wwwx\nfar:x:70000:www\n";

TEST(SudoUsers, AreFoundByNameAndNumber) {
  SudoUser user;
  ASSERT_TRUE(find_user(kPasswd, "www", user));
  EXPECT_EQ(std::pair(user.uid, user.gid), std::pair(33U, 34U));
  EXPECT_EQ(user.home, "/var/www");
  ASSERT_TRUE(find_user(kPasswd, "#33", user));
  EXPECT_EQ(user.name, "www");
  ASSERT_TRUE(find_user(kPasswd, "#77", user)) << "a number needs no name";
  EXPECT_EQ(std::pair(user.uid, user.gid), std::pair(77U, 77U));
  ASSERT_TRUE(find_user("", "root", user)) << "root is there without a file";
  EXPECT_EQ(std::pair(user.uid, user.home), std::pair(0U, std::string_view("/root")));
  for (const char* nobody : {"", "far", "broken", "33", "#65535", "#-1", "#", "#1x", "#4294967296", "www:x"})
    EXPECT_FALSE(find_user(kPasswd, nobody, user)) << nobody;
}

TEST(SudoUsers, HaveTheGroupsThatNameThem) {
  std::array<gid_t, 8> groups{};
  ASSERT_EQ(find_groups(kGroup, "www", 34, groups), 2U);
  EXPECT_EQ(std::pair(groups[0], groups[1]), std::pair(gid_t{34}, gid_t{4}));
  EXPECT_EQ(find_groups(kGroup, "www", 34, std::span(groups).first(1)), 1U);
  std::uint32_t gid = 0;
  EXPECT_TRUE(find_group(kGroup, "disk", gid));
  EXPECT_EQ(gid, 6U);
  EXPECT_TRUE(find_group(kGroup, "#9", gid));
  EXPECT_EQ(gid, 9U);
  EXPECT_FALSE(find_group(kGroup, "far", gid));
  EXPECT_FALSE(find_group(kGroup, "", gid));
}

class SudoMessage : public ::testing::Test {
 protected:
  static std::span<char> message(std::size_t size) { return std::span(buffer).first(size); }
  static inline SudoBuffer buffer;
  static inline SudoCall call;
};

TEST_F(SudoMessage, IsReadAsItWasWritten) {
  const Typed typed({"-u", "", "id"});
  const Typed variables({"A=1", "B="});
  const std::size_t size = write_request(typed.pointers.data(), variables.pointers.data(), 077, buffer);
  ASSERT_TRUE(read_request(message(size), call));
  EXPECT_EQ(call.umask, 077U);
  EXPECT_STREQ(call.arguments[2], "id");
  EXPECT_EQ(call.arguments[3], nullptr);
  EXPECT_STREQ(call.variables[1], "B=");
  EXPECT_EQ(call.variables[2], nullptr);
}

TEST_F(SudoMessage, OfWhichAnythingIsMissingOrTooMuchIsRefused) {
  const Typed typed({"id", "-u"});
  const std::size_t size = write_request(typed.pointers.data(), typed.pointers.data() + 1, 0, buffer);
  const SudoBuffer whole = buffer;
  for (std::size_t cut = 0; cut < size; ++cut) EXPECT_FALSE(read_request(message(cut), call)) << cut;
  EXPECT_FALSE(read_request(message(size + 1), call));
  for (const std::size_t field : {0, 2, 3, 4})  // the umask is any
    for (const std::uint32_t value : {0U, 999U, 4096U, 1U << 17, 0xFFFFFFFFU}) {
      buffer = whole;
      std::memcpy(buffer.data() + 4 * field, &value, sizeof value);
      EXPECT_FALSE(read_request(message(size), call)) << field << " " << value;
    }
  buffer = whole;
  buffer[size - 1] = 'x';
  EXPECT_FALSE(read_request(message(size), call)) << "the last has no end";
}

TEST_F(SudoMessage, HasABound) {
  const Typed none({});
  const Typed many(Words(guest_protocol::kMaxSudoStrings + 1, "x"));
  EXPECT_EQ(write_request(many.pointers.data(), none.pointers.data(), 0, buffer), 0U);
  const Typed large({std::string(guest_protocol::kMaxBody, 'x')});
  EXPECT_EQ(write_request(large.pointers.data(), none.pointers.data(), 0, buffer), 0U);
  EXPECT_EQ(write_request(none.pointers.data(), large.pointers.data(), 0, buffer), 0U);
  const Typed fits({std::string(guest_protocol::kMaxBody - 1, 'x')});
  const std::size_t size = write_request(fits.pointers.data(), none.pointers.data(), 0, buffer);
  EXPECT_EQ(size, buffer.size());
  EXPECT_TRUE(read_request(message(size), call));
}

TEST_F(SudoMessage, PassesOnNoSignalButThoseOfTheList) {
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGSTOP, SIGCONT})
    EXPECT_TRUE(may_be_sent(signal)) << signal;
  for (const int signal : {0, -1, SIGKILL, SIGSEGV, SIGTSTP, SIGCHLD, 64, 65, 1 << 30})
    EXPECT_FALSE(may_be_sent(signal)) << signal;
}

TEST_F(SudoMessage, HasRoomForAsManyWordsAsXargsSays) {
  const Typed none({});
  const Typed many(Words(20000, "x"));
  const std::size_t size = write_request(many.pointers.data(), none.pointers.data(), 0, buffer);
  ASSERT_TRUE(read_request(message(size), call));
  EXPECT_STREQ(call.arguments[19999], "x");
  EXPECT_EQ(call.arguments[20000], nullptr);
}

class Door : public ::testing::Test {
 protected:
  // One is let in, as its server says.
  void let_in() {
    door.note_start(5, now);
    EXPECT_EQ(door.answer(), answer);
    say(7);
    EXPECT_EQ(door.take_caller(), 7);
  }
  void say(std::uint64_t value) const { ASSERT_EQ(::write(answer, &value, sizeof value), ssize_t{8}); }

  SudoDoor door;
  int answer = door.make_answer();
  std::uint64_t now = 1'000'000;
};

TEST_F(Door, LetsABurstInAndThenOneAfterTheOther) {
  unsigned count = 0;
  for (; door.opens_ms(now) == 0; ++count) {
    let_in();
    ASSERT_LE(count, guest_protocol::kSudoBurst);
  }
  EXPECT_EQ(count, guest_protocol::kSudoBurst + 1);
  EXPECT_EQ(door.opens_ms(now), now + guest_protocol::kSudoIntervalMs);
  now = door.opens_ms(now);
  EXPECT_EQ(door.opens_ms(now), 0U);
  let_in();
  EXPECT_EQ(door.opens_ms(now), now + guest_protocol::kSudoIntervalMs);
}

TEST_F(Door, StaysClosedForAWhileAfterNobodyWasThere) {
  door.pause(now);
  EXPECT_EQ(door.opens_ms(now), now + guest_protocol::kSudoPauseMs);
  EXPECT_EQ(door.opens_ms(now + guest_protocol::kSudoPauseMs), 0U);
}

TEST_F(Door, BelievesWhoLetsInOnceAndWaitsForNobodyElse) {
  say(7);
  EXPECT_EQ(door.take_caller(), 0) << "nobody was started";
  answer = door.make_answer();
  door.note_start(5, now);
  EXPECT_EQ(door.server(), 5);
  EXPECT_EQ(door.take_caller(), 0) << "it has not said anything";
  EXPECT_EQ(door.server(), 5);
  say(7);
  EXPECT_EQ(door.take_caller(), 7);
  EXPECT_EQ(door.server(), -1);
  EXPECT_EQ(door.answer(), -1);
  say(8);
  EXPECT_EQ(door.take_caller(), 0);
}

}  // namespace
}  // namespace lmsb::guest
