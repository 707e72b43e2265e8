#include "launcher/handed_files.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdlib.h>

#include <gtest/gtest.h>

#include "os/message_socket.h"
#include "os/small_file.h"

namespace lmsb::launcher {
namespace {

class HandedFiles : public testing::Test {
 protected:
  HandedFiles() {
    std::string name = testing::TempDir() + "lmsb-handed-XXXXXX";
    dir_ = ::mkdtemp(name.data());
    EXPECT_TRUE(message_socket_pair(parent_, daemon_, SOCK_NONBLOCK));
  }
  ~HandedFiles() override { std::filesystem::remove_all(dir_); }

  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
    return dir_ + "/" + name;
  }
  static std::string content(const HandedFile& file) {
    return os::read_to_end(file.fd.get(), Bytes::KiB(1), "it").value();
  }

  std::string dir_;
  UniqueFd parent_;
  UniqueFd daemon_;
};

TEST_F(HandedFiles, ArriveOpenInTheirOrderAndTheMissingOnesByTheirError) {
  hand_files(parent_.get(), {file("a", "1"), dir_ + "/none", file("b", "2")});
  const auto files = receive_files(daemon_.get());
  ASSERT_TRUE(files.ok() && *files);
  ASSERT_EQ((*files)->size(), 3U);
  EXPECT_EQ(content((**files)[0]), "1");
  EXPECT_EQ((**files)[1].error, ENOENT);
  EXPECT_FALSE((**files)[1].fd);
  EXPECT_EQ(content((**files)[2]), "2");
  EXPECT_FALSE(*receive_files(daemon_.get()));
}

TEST_F(HandedFiles, AreThoseOfTheNameNowAlsoAfterOneTookAnothersPlace) {
  const std::string path = file("a", "old");
  hand_files(parent_.get(), {path});
  std::filesystem::rename(file("b", "new"), path);
  hand_files(parent_.get(), {path});
  EXPECT_EQ(content((**receive_files(daemon_.get()))[0]), "old");
  EXPECT_EQ(content((**receive_files(daemon_.get()))[0]), "new");
}

TEST_F(HandedFiles, CannotBeWrittenByWhoGetsThem) {
  hand_files(parent_.get(), {file("a", "1")});
  const auto files = receive_files(daemon_.get());
  EXPECT_EQ(::write((**files)[0].fd.get(), "x", 1), -1);
}

TEST_F(HandedFiles, AreAskedForByAWord) {
  EXPECT_EQ(take_word(parent_.get()), std::nullopt);
  say(daemon_.get(), DaemonWord::files);
  say(daemon_.get(), DaemonWord::ready);
  say(daemon_.get(), static_cast<DaemonWord>(3));
  EXPECT_EQ(take_word(parent_.get()), DaemonWord::files);
  EXPECT_EQ(take_word(parent_.get()), DaemonWord::ready);
  EXPECT_EQ(take_word(parent_.get()), std::nullopt) << "no word";
  EXPECT_EQ(take_word(parent_.get()), std::nullopt) << "nothing";
}

TEST_F(HandedFiles, HoldNobodyUpWhenNobodyReadsThem) {
  const std::string path = file("a", "1");
  for (int i = 0; i < 2000; ++i) hand_files(parent_.get(), {path});
  EXPECT_TRUE(*receive_files(daemon_.get()));
}

TEST_F(HandedFiles, EndWithTheirParent) {
  parent_.reset();
  EXPECT_EQ(receive_files(daemon_.get()).error().code(), ErrorCode::cancelled);
  say(daemon_.get(), DaemonWord::files);  // neither a signal nor an error
}

}  // namespace
}  // namespace lmsb::launcher
