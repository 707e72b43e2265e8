#include "cli/progress.h"

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

TEST(Progress, ShowsHowMuchOfTheWholeIsDone) {
  EXPECT_EQ(progress_line("import", 0, 1 << 20), "import  [>                   ]   0%  0 B of 1.0 MiB");
  EXPECT_EQ(progress_line("import", 1 << 19, 1 << 20), "import  [==========>         ]  50%  512.0 KiB of 1.0 MiB");
  EXPECT_EQ(progress_line("import", 1 << 20, 1 << 20), "import  [====================] 100%  1.0 MiB of 1.0 MiB");
  EXPECT_EQ(progress_line("import", 3 << 20, 1 << 20), "import  [====================] 100%  3.0 MiB of 1.0 MiB");
}

TEST(Progress, ShowsWhatIsDoneWhereTheWholeIsNotKnown) {
  EXPECT_EQ(progress_line("export", 1 << 20, std::nullopt), "export  1.0 MiB");
  EXPECT_EQ(progress_line("export", 1 << 20, 0), "export  1.0 MiB");
}

TEST(Progress, DrawsOverItsLineAndTakesItAway) {
  RecordingConsole console;
  {
    Progress progress(console, "export", std::nullopt, true);
    progress.add(1 << 20);
    progress.add(1 << 20);
    EXPECT_EQ(console.err_text, "\r\x1b[Kexport  1.0 MiB") << "the second comes too soon";
    EXPECT_EQ(progress.done(), 2U << 20U);
  }
  EXPECT_EQ(console.err_text, "\r\x1b[Kexport  1.0 MiB\r\x1b[K");
}

TEST(Progress, SaysNothingWhereNobodyLooks) {
  RecordingConsole console;
  { Progress(console, "export", std::nullopt, false).add(1); }
  EXPECT_EQ(console.err_text, "");
}

}  // namespace
}  // namespace lmsb::cli
