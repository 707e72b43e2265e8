#include "control/command_start.h"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

using testing::Contains;
using testing::Not;

ImageDefaults of(Profile profile) {
  ImageDefaults defaults;
  defaults.profile = profile;
  return defaults;
}

Command by(const std::string& user) {
  Command command;
  command.cmd = std::string("id");
  command.user = user;
  return command;
}

TEST(CommandStart, NamesTheReasonOfAProcessThatDidNotStart) {
  guest_client::Ending ending;
  ending.kind = guest_client::Ending::Kind::start_failed;
  ending.step = guest_protocol::Step::command_cwd;
  ending.error = ENOENT;
  EXPECT_EQ(not_started("write files", "/gone", ending).slug(), "invalid_cwd");
  ending.step = guest_protocol::Step::command_exec;
  EXPECT_NE(not_started("write files", "/gone", ending).slug(), "invalid_cwd");
  ending.error = EAGAIN;
  EXPECT_EQ(not_started("write files", "/there", ending).slug(), "too_many_processes");
}

TEST(CommandStart, IsTheProfilesUserUnlessAnotherIsNamed) {
  for (const char* user : {"", "root", "0"}) {
    const auto spec = start_spec(of(Profile::root), by(user));
    ASSERT_TRUE(spec.ok()) << user;
    EXPECT_FALSE(spec->as_user) << user;
    EXPECT_THAT(spec->env, Contains("HOME=/root"));
    EXPECT_THAT(spec->env, Contains("USER=root"));
  }
  for (const char* user : {"user", "1000"}) {
    const auto spec = start_spec(of(Profile::root), by(user));
    ASSERT_TRUE(spec.ok()) << user;
    EXPECT_TRUE(spec->as_user) << user;
    EXPECT_THAT(spec->env, Contains("HOME=/home/user"));
  }
  const auto spec = start_spec(of(Profile::user), by(""));
  ASSERT_TRUE(spec.ok());
  EXPECT_FALSE(spec->as_user);
  EXPECT_THAT(spec->env, Not(Contains("HOME=/root")));
}

TEST(CommandStart, FindsSudoFirstWhereTheSandboxHasRoot) {
  const auto path_of = [](const ImageDefaults& image, const Command& command) {
    const auto spec = start_spec(image, command);
    for (const std::string& variable : spec->env)
      if (variable.starts_with("PATH=")) return variable.substr(5);
    return std::string("none");
  };
  ImageDefaults image = of(Profile::root);
  for (const char* user : {"user", "root"})
    EXPECT_THAT(path_of(image, by(user)), testing::StartsWith("/run/lm-sandbox/bin:/usr/local/sbin:"));
  image.env["PATH"] = "/opt/bin";
  EXPECT_EQ(path_of(image, by("user")), "/run/lm-sandbox/bin:/opt/bin");
  image.env["PATH"] = "";
  EXPECT_EQ(path_of(image, by("user")), "/run/lm-sandbox/bin");
  Command command = by("user");
  command.env["PATH"] = "/bin";
  EXPECT_EQ(path_of(image, command), "/bin") << "who says it has it so";
  EXPECT_THAT(path_of(of(Profile::user), by("")), Not(testing::HasSubstr("lm-sandbox")));
}

TEST(CommandStart, MakesNobodyRootWhereTheSandboxHasNone) {
  for (const char* user : {"root", "0"}) {
    EXPECT_EQ(start_spec(of(Profile::user), by(user)).error().slug(), "user_not_allowed");
    EXPECT_TRUE(check_command(by(user)).ok()) << "whether it may is not known before the sandbox is";
  }
  for (const Profile profile : {Profile::user, Profile::root})
    EXPECT_EQ(start_spec(of(profile), by("daemon")).error().slug(), "user_not_allowed");
  EXPECT_EQ(check_command(by("daemon")).error().slug(), "user_not_allowed");
}

TEST(CommandStart, KnowsProfilesByTheirNames) {
  for (const Profile profile : {Profile::user, Profile::root}) EXPECT_EQ(parse_profile(to_string(profile)), profile);
  EXPECT_FALSE(parse_profile("Root"));
  EXPECT_FALSE(parse_profile(""));
}

TEST(CheckCommand, SaysInWhatTheNulIs) {
  const std::string nul("a\0b", 3);
  Command command = by("");
  EXPECT_TRUE(check_command(command).ok());
  command.cwd = "/" + nul;
  EXPECT_EQ(check_command(command).error().slug(), "invalid_cwd");
  command.cwd.clear();
  command.env = {{"NAME", nul}};
  EXPECT_EQ(check_command(command).error().slug(), "invalid_env");
  command.env = {{nul, "value"}};
  EXPECT_EQ(check_command(command).error().slug(), "invalid_env");
  command.env.clear();
  command.cmd = nul;
  EXPECT_EQ(check_command(command).error().slug(), "invalid_command");
}

}  // namespace
}  // namespace lmsb::control
