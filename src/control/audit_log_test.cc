#include "control/audit_log.h"

#include <array>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

namespace fs = std::filesystem;
constexpr time_t kDay = 86'400;

class Audit : public ::testing::Test {
 protected:
  Audit() { EXPECT_NE(::mkdtemp(directory_.data()), nullptr); }
  ~Audit() override { fs::remove_all(directory_); }

  AuditLog log(AuditRetention retention) { return {path(), retention, logger_}; }
  std::string path() const { return directory_ + "/audit.log"; }
  void put(const std::string& name, const std::string& text, time_t age) const {
    std::ofstream(directory_ + "/" + name) << text;
    const timespec then{::time(nullptr) - age, 0};
    const std::array<timespec, 2> times{then, then};
    EXPECT_EQ(::utimensat(AT_FDCWD, (directory_ + "/" + name).c_str(), times.data(), 0), 0);
  }
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      std::stringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      found[entry.path().filename()] = text.str();
    }
    return found;
  }

  using Files = std::map<std::string, std::string>;
  std::string directory_ = (fs::temp_directory_path() / "lmsb-audit-XXXXXX").string();
  Logger logger_{LogLevel::error, LogFormat::text};
};

TEST_F(Audit, KeepsAsManyEarlierFilesAsItMay) {
  AuditLog audit = log({Bytes(2), 2, 0});
  for (const char* line : {"1\n", "2\n", "3\n", "4\n"}) audit.write(line);
  EXPECT_EQ(files(), (Files{{"audit.log", "4\n"}, {"audit.log.1", "3\n"}, {"audit.log.2", "2\n"}}));
}

TEST_F(Audit, KeepsNoneWhereNoneIsWanted) {
  AuditLog audit = log({Bytes(2), 0, 0});
  for (const char* line : {"1\n", "2\n"}) audit.write(line);
  EXPECT_EQ(files(), (Files{{"audit.log", "2\n"}}));
}

TEST_F(Audit, GoesOnWhereItWasAndIsItsOwnersAlone) {
  log({}).write("1\n");
  log({}).write("2\n");
  EXPECT_EQ(files(), (Files{{"audit.log", "1\n2\n"}}));
  EXPECT_EQ(fs::status(path()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(Audit, BeginsANewFileEachDayWhereDaysCountAndRemovesThoseThatAreTooOld) {
  put("audit.log", "yesterday\n", kDay);
  put("audit.log.1", "before\n", 2 * kDay);
  put("audit.log.2", "long ago\n", 9 * kDay);
  AuditLog audit = log({Bytes::MiB(1), 30, 7});
  EXPECT_EQ(files(), (Files{{"audit.log", "yesterday\n"}, {"audit.log.1", "before\n"}}));
  audit.write("today\n");
  EXPECT_EQ(files(), (Files{{"audit.log", "today\n"}, {"audit.log.1", "yesterday\n"}, {"audit.log.2", "before\n"}}));
}

TEST_F(Audit, RemovesWhatALaterSettingDoesNotKeep) {
  put("audit.log", "old\n", 9 * kDay);
  put("audit.log.1", "older\n", 10 * kDay);
  (void)log({Bytes::MiB(1), 0, 0});
  EXPECT_EQ(files(), (Files{{"audit.log", "old\n"}}));
  (void)log({Bytes::MiB(1), 1, 7});
  EXPECT_EQ(files(), Files());
}

TEST_F(Audit, GoesOnInTheOldFileWhereNoNewOneCanBegin) {
  fs::create_directories(path() + ".1/in-the-way");
  AuditLog audit = log({Bytes(2), 1, 0});
  for (const char* line : {"1\n", "2\n", "3\n"}) audit.write(line);
  std::stringstream text;
  text << std::ifstream(path()).rdbuf();
  EXPECT_EQ(text.str(), "1\n2\n3\n");
}

TEST_F(Audit, SaysNothingWhereItHasNoPath) {
  AuditLog("", {}, logger_).write("1\n");
  EXPECT_EQ(files(), Files());
}

}  // namespace
}  // namespace lmsb::control
