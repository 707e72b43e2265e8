// lm-sandbox-tool: work on the images of a data directory that needs no daemon. Making and removing needs root.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "image/builder.h"
#include "image/image_json.h"
#include "image/store.h"

namespace {

using lmsb::Error;
using lmsb::ErrorCode;
using lmsb::Result;
using lmsb::Status;
using lmsb::image::Image;
using lmsb::image::Store;

constexpr int kUsageStatus = 2;
constexpr const char* kUsage =
    "usage: lm-sandbox-tool image build NAME [--mirror URL] [--verbose]   make the image base or llama (root)\n"
    "       lm-sandbox-tool image ls [--json]                             show the images\n"
    "       lm-sandbox-tool image rm NAME                                 remove an image (root)\n"
    "       each also takes --data-dir DIR (default /var/lib/lm-sandbox); MIRROR in the environment is --mirror\n";

std::atomic<bool> g_stopped{false};  // written by the signal handler only

struct Arguments {
  std::vector<std::string> words;  // what is no option: "image", "build", NAME
  std::string data_dir = "/var/lib/lm-sandbox";
  std::string mirror;
  bool verbose = false;
  bool json = false;
};

Result<Arguments> read_arguments(int argc, char** argv) {
  Arguments result;
  if (const char* mirror = std::getenv("MIRROR")) result.mirror = mirror;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool takes_value = word == "--data-dir" || word == "--mirror";
    if (takes_value && i + 1 == argc) return Error(ErrorCode::invalid_argument, std::string(word) + " needs a value");
    if (word == "--data-dir")
      result.data_dir = argv[++i];
    else if (word == "--mirror")
      result.mirror = argv[++i];
    else if (word == "--verbose")
      result.verbose = true;
    else if (word == "--json")
      result.json = true;
    else if (word.starts_with("-"))
      return Error(ErrorCode::invalid_argument, "unknown option " + std::string(word));
    else
      result.words.emplace_back(word);
  }
  result.data_dir = std::filesystem::absolute(result.data_dir).lexically_normal().string();
  return result;
}

std::string mebibytes(lmsb::Bytes bytes) { return std::to_string(bytes.count() >> 20U) + " MiB"; }

Status build(const Arguments& arguments) {
  const auto begin = std::chrono::steady_clock::now();
  lmsb::image::BuildRequest request;
  request.name = arguments.words[2];
  request.data_dir = arguments.data_dir;
  request.mirror = arguments.mirror;
  request.verbose = arguments.verbose;
  request.cancelled = &g_stopped;
  request.progress = [](std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  };
  LMSB_TRY(const Image image, lmsb::image::build(request));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("image %s: %s, %s, in %.1f s\n", image.name.c_str(), image.digest.c_str(), mebibytes(image.size).c_str(),
              took.count());
  return {};
}

void print_table(const std::vector<Image>& images) {
  std::printf("%-12s %-20s %10s  %-20s  %s\n", "NAME", "DIGEST", "SIZE", "CREATED", "DESCRIPTION");
  for (const auto& image : images)
    std::printf("%-12s %-20s %10s  %-20s  %s\n", image.name.c_str(), image.digest.substr(0, 19).c_str(),
                image.rootfs.empty() ? "-" : mebibytes(image.size).c_str(),
                image.created_at.empty() ? "-" : image.created_at.c_str(), image.description.c_str());
}

void print_json(const std::vector<Image>& images) {
  std::string text;
  for (const auto& image : images) text += (text.empty() ? "" : ",") + lmsb::image::format_image(image);
  std::printf("{\"data\":[%s],\"next_cursor\":null}\n", text.c_str());
}

Status list(const Arguments& arguments) {
  LMSB_TRY(const auto listing, Store(arguments.data_dir).list());
  (arguments.json ? print_json : print_table)(listing.images);
  for (const auto& error : listing.broken) std::fprintf(stderr, "warning: %s\n", error.message().c_str());
  return {};
}

// Nothing when the words are no command of ours.
Result<bool> run(const Arguments& arguments) {
  const auto& words = arguments.words;
  if (words.size() < 2 || words[0] != "image") return false;
  Status status;
  if (words[1] == "build" && words.size() == 3)
    status = build(arguments);
  else if (words[1] == "ls" && words.size() == 2)
    status = list(arguments);
  else if (words[1] == "rm" && words.size() == 3)
    status = Store(arguments.data_dir).remove(words[2]);
  else
    return false;
  if (!status.ok()) return std::move(status).error();
  return true;
}

int report(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message().c_str());
  if (!error.hint().empty()) std::fprintf(stderr, "hint: %s\n", error.hint().c_str());
  return error.code() == ErrorCode::invalid_argument ? kUsageStatus : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, [](int) { g_stopped.store(true); });
  const auto arguments = read_arguments(argc, argv);
  if (!arguments.ok()) return report(arguments.error());
  const auto done = run(*arguments);
  if (!done.ok()) return report(done.error());
  if (*done) return EXIT_SUCCESS;
  std::fputs(kUsage, stderr);
  return kUsageStatus;
}
