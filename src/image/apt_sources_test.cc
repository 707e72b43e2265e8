#include "image/apt_sources.h"

#include <gmock/gmock.h>

namespace lmsb::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kDeb822 = R"(# comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
)";

TEST(AptSources, ReadsEveryEnabledBinarySourceOfADeb822File) {
  EXPECT_THAT(parse_deb822(kDeb822),
              ElementsAre(AptSource{"http://mirror.example/debian", "bookworm"},
                          AptSource{"http://mirror.example/debian", "bookworm-updates"},
                          AptSource{"https://mirror.example/debian-security", "bookworm-security"}));
}

TEST(AptSources, ReadsOneLineFilesWithOptionsAndComments) {
  EXPECT_THAT(parse_one_line("# deb http://no.example/debian bookworm main\n"
                             "deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian trixie contrib main # why\n"
                             "deb-src http://a.example/debian trixie main\n"
                             "\tdeb http://b.example/debian trixie-updates main\r\n"
                             "deb http://c.example/tools stable extra\n"
                             "deb [arch=amd64 http://broken.example/ x main"),
              ElementsAre(AptSource{"http://a.example/debian", "trixie"},
                          AptSource{"http://b.example/debian", "trixie-updates"}));
}

TEST(AptSources, IgnoresTextThatIsNoSource) {
  EXPECT_THAT(parse_deb822(""), IsEmpty());
  EXPECT_THAT(parse_deb822(" leading\n:\nno colon here\n"), IsEmpty());
  EXPECT_THAT(parse_one_line("deb\ndeb \ndeb []"), IsEmpty());
}

TEST(AptSources, TakesTheReleaseItselfBeforeItsUpdatesAndSecurity) {
  const std::vector<AptSource> machine = {{"http://s.example/sec", "bookworm-security"},
                                          {"http://a.example/debian", "bookworm"},
                                          {"http://a.example/debian", "bookworm-updates"},
                                          {"http://x.example/other", "jammy"}};
  EXPECT_THAT(choose_sources(machine, "bookworm"),
              ElementsAre(AptSource{"http://a.example/debian", "bookworm"},
                          AptSource{"http://s.example/sec", "bookworm-security"},
                          AptSource{"http://a.example/debian", "bookworm-updates"}));
}

TEST(AptSources, TakesAnotherReleaseFromTheMachinesOwnMirror) {
  const std::vector<AptSource> machine = {{"http://s.example/sec", "bookworm-security"},
                                          {"http://a.example/debian", "bookworm"}};
  EXPECT_THAT(choose_sources(machine, "sid"), ElementsAre(AptSource{"http://a.example/debian", "sid"}));
}

TEST(AptSources, DoesNotTakeADerivativesMirrorForDebians) {
  EXPECT_THAT(choose_sources({{"http://archive.example/ubuntu", "jammy"}}, "bookworm"), IsEmpty());
}

TEST(AptSources, KnowsTheCodenameOfDebianOnly) {
  EXPECT_EQ(debian_codename("NAME=x\nVERSION_CODENAME=trixie\nID=debian\n"), "trixie");
  EXPECT_EQ(debian_codename("ID=\"debian\"\nVERSION_CODENAME=\"trixie\""), "trixie");
  EXPECT_EQ(debian_codename("ID=ubuntu\nVERSION_CODENAME=jammy\n"), "");
  EXPECT_EQ(debian_codename("ID=debian\n"), "");
}

TEST(AptSources, RefusesAMirrorThatIsMoreThanAUrl) {
  EXPECT_TRUE(is_mirror_url("http://mirror.example:3142/debian"));
  EXPECT_TRUE(is_mirror_url("file:///srv/mirror"));
  for (const char* bad : {"", "--help", "mirror.example", "ftp://x/", "http://a b", "http://a\nhttp://b", "http://a]",
                          "http://a'$(id)", "http://a;id"})
    EXPECT_FALSE(is_mirror_url(bad)) << bad;
}

TEST(AptSources, RefusesABadMirrorAsAnInvalidArgument) {
  const auto sources = find_sources("sid", "not a url");
  ASSERT_FALSE(sources.ok());
  EXPECT_EQ(sources.error().code(), ErrorCode::invalid_argument);
}

TEST(AptSources, TakesTheMirrorThatWasAskedForAlone) {
  const auto sources = find_sources("sid", "http://mirror.example/debian");
  ASSERT_TRUE(sources.ok());
  EXPECT_EQ(sources->suite, "sid");
  EXPECT_THAT(sources->sources, ElementsAre(AptSource{"http://mirror.example/debian", "sid"}));
}

}  // namespace
}  // namespace lmsb::image
