#include "sandbox/own_ids.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::sandbox {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const IdUser kAlice{"alice", 1000, 1001};

IdTexts machine(const std::string& subuid, const std::string& subgid) {
  return {"root:x:0:0::/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\nbob:x:1002:1002::/home/bob:/bin/sh\n",
          "root:x:0:\nalice:x:1001:\nbob:x:1002:\n", subuid, subgid};
}

IdTexts same(const std::string& lines) { return machine(lines, lines); }

TEST(OwnIds, OfWhatUseraddGivesAllSandboxesHaveTheRangeOfImages) {
  const auto ids = own_ids(kAlice, same("alice:100000:65536\n"));
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->ranges, 0);
  EXPECT_EQ(ids->per_sandbox, kIdRange - 1);
  EXPECT_THAT(ids->users, ElementsAre(IdExtent{0, 1000, 1}, IdExtent{kImageRangeBase, 100000, 65535},
                                      IdExtent{kDaemonId, 165535, 1}));
  EXPECT_THAT(ids->groups, ElementsAre(IdExtent{0, 1001, 1}, IdExtent{kImageRangeBase, 100000, 65535},
                                       IdExtent{kDaemonId, 165535, 1}));
}

TEST(OwnIds, OneMoreMakesASandboxesRangeWhole) {
  const auto ids = own_ids(kAlice, same("alice:100000:65537\n"));
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->per_sandbox, kIdRange);
  EXPECT_THAT(ids->users, ElementsAre(IdExtent{0, 1000, 1}, IdExtent{kImageRangeBase, 100000, 65536},
                                      IdExtent{kDaemonId, 165536, 1}));
}

// Else files of images and of the daemon would be of ids that are not theirs any more.
TEST(OwnIds, OfImagesAndTheDaemonStayTheSameWhateverLinesAreAdded) {
  const auto before = own_ids(kAlice, same("alice:100000:65536\n"));
  const auto more = own_ids(kAlice, same("alice:100000:65536\n1000:300000:65536\n"));
  const auto many = own_ids(kAlice, same("alice:100000:65536\nalice:300000:" + std::to_string(64 * 65536) + "\n"));
  for (const auto* ids : {&more, &many}) {
    ASSERT_TRUE(ids->ok());
    EXPECT_EQ((*ids)->per_sandbox, kIdRange - 1);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ((*ids)->users.at(i), before->users.at(i)) << i;
  }
  EXPECT_EQ(more->ranges, 0);
  EXPECT_EQ(many->ranges, 64);
  EXPECT_EQ(many->users.at(3), (IdExtent{kFirstBase, 300000, kIdRange}));
}

TEST(OwnIds, ManyAreRangesOfSandboxes) {
  const auto few = own_ids(kAlice, same("alice:100000:" + std::to_string(64 * 65536 + 1) + "\n"));
  ASSERT_TRUE(few.ok());
  EXPECT_EQ(few->ranges, 0);  // one is that of images
  const auto many = own_ids(kAlice, same("alice:100000:" + std::to_string(65 * 65536 + 1) + "\n"));
  ASSERT_TRUE(many.ok());
  EXPECT_EQ(many->ranges, 64);
  EXPECT_EQ(many->users.at(3), (IdExtent{kFirstBase, 165536, kIdRange}));
}

TEST(OwnIds, WithoutLinesNamesTheOnesToAdd) {
  const auto none = own_ids(kAlice, machine("bob:100000:65536\n", ""));
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().message(), HasSubstr("/etc/subuid has no line of user alice"));
  EXPECT_THAT(none.error().hint(), HasSubstr("usermod --add-subuids 165536-231071 --add-subgids 165536-231071 alice"));
  EXPECT_THAT(none.error().hint(), HasSubstr("alice:165536:65536"));
  EXPECT_THAT(own_ids(kAlice, machine("alice:100000:65536\n", "")).error().message(), HasSubstr("/etc/subgid"));
  EXPECT_THAT(own_ids(kAlice, same("alice:100000:4096\n")).error().message(), HasSubstr("as many"));
}

// What such a range held, a stranger could read and write; and a stranger's process would be one of ours.
TEST(OwnIds, ThatAreSomebodyElsesTooAreNotTaken) {
  for (const char* lines : {"alice:100000:65536\nbob:165535:65536\n",  // another user's line
                            "alice:1000:65536\n",                      // the user's own id, and bob's
                            "alice:0:65536\n"}) {                      // the machine's root
    const auto refused = own_ids(kAlice, same(lines));
    ASSERT_FALSE(refused.ok()) << lines;
    EXPECT_THAT(refused.error().message(), HasSubstr("has ids of /etc/")) << lines;
  }
  const auto rest = own_ids(kAlice, same("alice:100000:65536\nalice:300000:65536\nbob:100000:65536\n"));
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->users.at(1).outside, 300000);
}

TEST(OwnIds, ThatAreTooFewBecauseOthersShareTheRestNameTheLines) {
  const auto refused = own_ids(kAlice, same("alice:100000:65536\nalice:300000:4096\nbob:165535:65536\n"));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message(), HasSubstr("alice:100000:65536 has ids of /etc/subuid"));
  EXPECT_THAT(refused.error().message(), HasSubstr("bob:165535:65536"));
}

TEST(OwnIds, ThatTheKernelDoesNotGiveHaveChangedSince) {
  const Error changed = not_given(EPERM, "close /d/images to users", "/d/images");
  EXPECT_THAT(changed.message(), HasSubstr("have changed since: close /d/images"));
  EXPECT_THAT(changed.hint(), HasSubstr("sudo rm -r /d/images"));
  EXPECT_EQ(not_given(ENOSPC, "close /d", "/d").hint(), "");
}

TEST(OwnIds, AreNotGivenTwiceWhereLinesOverlap) {
  const auto ids = own_ids(kAlice, same("alice:100000:65536\nalice:100001:65536\n"));
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->ranges, 0);
  EXPECT_EQ(ids->users.size(), 3U);
}

}  // namespace
}  // namespace lmsb::sandbox
