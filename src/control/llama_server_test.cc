#include "control/llama_server.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

constexpr const char* kNew =
    "-c,    --ctx-size N     size of the prompt context\n"
    "-fit,  --fit [on|off]   whether to adjust unset arguments\n"
    "-fitt, --fit-target MiB target margin per device for --fit\n"
    "-np,   --parallel N     number of server slots\n"
    "--host HOST             ip address to listen, or bind to an UNIX socket if the address ends with .sock\n"
    "-a,    --alias STRING   set alias for model name\n"
    "--context-shift, --no-context-shift\n"
    "--ui,  --webui, --no-ui, --no-webui\n";
constexpr const char* kOlder =
    "--host HOST   ... an UNIX socket if the address ends with .sock\n--no-webui\n--fit-target\n";

ServerSettings settings() {
  ServerSettings s;
  s.socket = "/tmp/x.sock";
  s.model = "/model/model.gguf";
  s.name = "tiny";
  s.context = 512;
  return s;
}

TEST(LlamaServer, IsToldOnlyWhatItKnows) {
  const auto command = server_command("/usr/bin/llama-server", kNew, settings());
  ASSERT_TRUE(command.ok());
  EXPECT_THAT(*command,
              ElementsAre("/usr/bin/llama-server", "-m", "/model/model.gguf", "--host", "/tmp/x.sock", "-c", "512",
                          "--alias", "tiny", "--parallel", "2", "--no-webui", "--fit", "off", "--no-context-shift"));
  const auto older = server_command("s", kOlder, settings());
  ASSERT_TRUE(older.ok());
  EXPECT_THAT(*older, Not(Contains("--fit")));
  EXPECT_THAT(*older, Contains("--no-webui"));
}

TEST(LlamaServer, GivesAsManyAnswersAtOnceAsMemoryIsReckonedFor) {
  const auto command = server_command("s", kNew, settings());
  const auto flag = std::find(command->begin(), command->end(), "--parallel");
  ASSERT_LT(flag + 1, command->end());
  EXPECT_EQ(*(flag + 1), std::to_string(kModelSlots));
}

TEST(LlamaServer, IsToldTheNumberOfThreadsWhenThereIsOne) {
  ServerSettings with_threads = settings();
  with_threads.threads = 3;
  EXPECT_THAT(*server_command("s", kOlder, with_threads), Contains("-t"));
  EXPECT_THAT(*server_command("s", kOlder, settings()), Not(Contains("-t")));
}

TEST(LlamaServer, IsToldToEndLoopsOfAModelThatHasThem) {
  ServerSettings of_demonstration = settings();
  of_demonstration.ends_loops = true;
  const std::string help = std::string(kOlder) + "--dry-multiplier N   set DRY sampling multiplier\n";
  EXPECT_THAT(*server_command("s", help, of_demonstration), Contains("--dry-multiplier"));
  EXPECT_THAT(*server_command("s", help, settings()), Not(Contains("--dry-multiplier")));
}

TEST(LlamaServer, IsToldToMakeEmbeddingsOfTextsAsLongAsItsContextOrTwoThousandTokens) {
  ServerSettings embedder = settings();
  embedder.makes_embeddings = true;
  const std::string help = std::string(kOlder) + "--embedding, --embeddings   restrict to embeddings\n";
  EXPECT_THAT(*server_command("s", help, embedder), testing::IsSupersetOf({"--embeddings", "-b", "-ub", "512"}));
  EXPECT_THAT(*server_command("s", help, settings()), Not(Contains("--embeddings")));
  embedder.context = 4096;
  EXPECT_THAT(*server_command("s", help, embedder), Contains("2048").Times(2));
  const auto old = server_command("s", kOlder, embedder);
  ASSERT_FALSE(old.ok());
  EXPECT_EQ(old.error().slug(), "llama_server_too_old");
}

TEST(LlamaServer, ThatCannotListenOnAUnixSocketIsRefused) {
  const auto command = server_command("/opt/old/llama-server", "--host HOST  ip address to listen\n", settings());
  ASSERT_FALSE(command.ok());
  EXPECT_EQ(command.error().slug(), "llama_server_too_old");
  EXPECT_THAT(command.error().message(), testing::HasSubstr("/opt/old/llama-server"));
}

TEST(ListsFlag, TakesWholeWordsOnly) {
  EXPECT_TRUE(lists_flag("--fit", "--fit"));
  EXPECT_TRUE(lists_flag("a --fit-target, --fit [on]", "--fit"));
  EXPECT_FALSE(lists_flag("--fit-target --fitness", "--fit"));
  EXPECT_FALSE(lists_flag("---fit", "--fit"));
  EXPECT_FALSE(lists_flag("", "--fit"));
}

}  // namespace
}  // namespace lmsb::control
