#include "control/process_note.h"

#include <gtest/gtest.h>

#include "guest_protocol/messages.h"
#include "store/packed_map.h"

namespace lmsb::control {
namespace {

ProcessNote a_note() {
  ProcessNote note;
  note.id = "prc_aaaaaaaaaaaaaaaaaaaa";
  note.cmd = Argv{"sh", "-c", "", "echo a\nb"};
  note.asked_at = "2026-01-31T23:59:59.123Z";
  note.began_ms = 123456789012;
  note.timeout = std::chrono::milliseconds(5000);
  note.has_stdin = true;
  note.oom_kills_before = 3;
  note.attempt = {"/bin/sh", "/tmp", "sha256:00", 7, true};
  return note;
}

TEST(ProcessNote, ComesBackAsItWas) {
  for (const bool is_text : {false, true}) {
    ProcessNote note = a_note();
    if (is_text) note.cmd = std::string("echo a");
    const auto back = unpack_process_note(pack(note));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->id, note.id);
    EXPECT_EQ(back->cmd, note.cmd);
    EXPECT_EQ(back->asked_at, note.asked_at);
    EXPECT_EQ(back->began_ms, note.began_ms);
    EXPECT_EQ(back->timeout, note.timeout);
    EXPECT_TRUE(back->has_stdin && !back->has_terminal);
    EXPECT_EQ(back->oom_kills_before, 3U);
    EXPECT_EQ(back->attempt.program, "/bin/sh");
    EXPECT_EQ(back->attempt.cwd, "/tmp");
    EXPECT_EQ(back->attempt.cpu_seconds, 7U);
    EXPECT_TRUE(back->attempt.merge_stderr);
    EXPECT_EQ(back->attempt.image_digest, "sha256:00");
  }
}

TEST(ProcessNote, OfASessionIsItsName) {
  ProcessNote note;
  note.session = "mine";
  note.asked_at = "2026-01-31T23:59:59.123Z";
  note.attempt.image_digest = "sha256:00";
  const auto back = unpack_process_note(pack(note));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->session, "mine");
  EXPECT_EQ(back->asked_at, note.asked_at);
  EXPECT_EQ(back->attempt.image_digest, "sha256:00");
  EXPECT_TRUE(back->reads_script);
}

TEST(ProcessNote, OfASessionOfAnEarlierVersionSaysThatItsBashTakesCommandsOtherwise) {
  const auto back = unpack_process_note(store::pack({{"session", "mine"}, {"at", "2026-01-31T23:59:59.123Z"}}));
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->reads_script);
}

TEST(ProcessNote, OfASessionThatSaysNoMomentIsStillASession) {
  ProcessNote note;
  note.session = "mine";
  note.asked_at = "yesterday";
  EXPECT_EQ(unpack_process_note(pack(note))->asked_at, "");
}

TEST(ProcessNote, OfTheLongestTextsIsWithinTheBound) {
  ProcessNote note = a_note();
  note.cmd = Argv{std::string(4096, 'a'), "..."};
  note.attempt = {std::string(4096, 'b'), std::string(4096, 'c'), std::string(80, 'd'), ~0ULL, true};
  EXPECT_LE(pack(note).size(), guest_protocol::kMaxNote);
}

// A guest may hand back anything.
TEST(ProcessNote, OfAnotherFormIsNone) {
  EXPECT_FALSE(unpack_process_note(""));
  EXPECT_FALSE(unpack_process_note("garbage"));
  const auto map = store::unpack(pack(a_note()));
  const auto changed = [&](const char* name, std::string value) {
    auto other = *map;
    other[name] = std::move(value);
    return unpack_process_note(store::pack(other));
  };
  for (const char* id : {"", "prc_", "prc_aaaaaaaaaaaaaaaaaaa", "prc_aaaaaaaaaaaaaaaaaaa/", "prc_AAAAAAAAAAAAAAAAAAAA",
                         "aaaaaaaaaaaaaaaaaaaaaaaa"})
    EXPECT_FALSE(changed("id", id)) << id;
  for (const char* name : {"began", "timeout", "stdin", "terminal", "oom"})
    for (const char* number : {"", "-1", "1x", " 1", "99999999999999999999999"})
      EXPECT_FALSE(changed(name, number)) << name << number;
  EXPECT_FALSE(changed("at", "yesterday"));
  EXPECT_FALSE(changed("at", "2026-01-31T23:59:59.12\"Z"));
  EXPECT_EQ(changed("cwd", "/\xff")->attempt.cwd, "/\xEF\xBF\xBD") << "it goes out as JSON";
}

}  // namespace
}  // namespace lmsb::control
