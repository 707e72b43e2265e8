// lm-sandbox-tool: work on the images of a data directory that needs no daemon: `lm-sandbox image build` and `image rm`
// become this program. Making and removing needs root.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "image/build_line.h"
#include "image/builder.h"
#include "image/image_json.h"
#include "image/store.h"
#include "os/user_places.h"
#include "sandbox/own_namespace.h"

namespace {

using lmsb::Error;
using lmsb::ErrorCode;
using lmsb::Result;
using lmsb::Status;
using lmsb::image::Image;
using lmsb::image::Store;

constexpr int kUsageStatus = 2;
constexpr const char* kUsage =
    "Usage:  lm-sandbox image build NAME [--mirror URL] [--verbose]   make the image base or llama\n"
    "        lm-sandbox image rm NAME                                 remove an image\n"
    "        lm-sandbox-tool image ls                                 show the images of a data directory\n"
    "        lm-sandbox-tool image check NAME                         exit 0 if this version can use the image\n\n"
    "Each also takes --json and --data-dir DIR (default /var/lib/lm-sandbox; without root ~/.local/share/lm-sandbox); "
    "MIRROR in the environment is --mirror.\n";

std::atomic<bool> g_stopped{false};  // written by the signal handler only

struct Arguments {
  std::vector<std::string> words;  // what is no option: "image", "build", NAME
  std::string data_dir = ::geteuid() == 0 ? "/var/lib/lm-sandbox" : lmsb::os::places_of_this_user().data_dir;
  std::uint32_t user_ids = 0;  // of who is not root, once go_rootless() is done
  std::string mirror;
  bool verbose = false;
  bool json = false;
  bool help = false;
};

Error misuse(const std::string& what) {
  return Error(ErrorCode::invalid_argument, what).with_hint("see lm-sandbox image build --help, or image rm --help");
}

Result<Arguments> read_arguments(int argc, char** argv) {
  Arguments result;
  if (const char* mirror = std::getenv("MIRROR")) result.mirror = mirror;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool takes_value = word == "--data-dir" || word == "--mirror";
    if (takes_value && i + 1 == argc) return misuse(std::string(word) + " needs a value");
    if (word == "--data-dir")
      result.data_dir = argv[++i];
    else if (word == "--mirror")
      result.mirror = argv[++i];
    else if (word == "--verbose")
      result.verbose = true;
    else if (word == "--json")
      result.json = true;
    else if (word == "--help" || word == "-h")
      result.help = true;
    else if (word.starts_with("-"))
      return misuse("unknown option " + std::string(word));
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
  request.user_ids = arguments.user_ids;
  request.verbose = arguments.verbose;
  request.cancelled = &g_stopped;
  auto image = [&request] {
    const bool is_live = ::isatty(STDERR_FILENO) == 1 && !request.verbose;  // else the tools' words are there, too
    const auto write = [](std::string_view text) { (void)std::fwrite(text.data(), 1, text.size(), stderr); };
    lmsb::image::BuildLine line(write, is_live);
    request.progress = [&line](std::string_view step) { line.step(step); };
    request.tick = [&line](lmsb::Bytes come) { line.tick(come); };
    return lmsb::image::build(request);
  }();
  if (!image.ok()) return std::move(image).error();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (arguments.json) {
    std::printf("%s", lmsb::image::format_image(*image).c_str());
    return {};
  }
  std::printf("image %s: %s, %s, in %.1f s\n", image->name.c_str(), image->digest.c_str(),
              mebibytes(image->size).c_str(), took.count());
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

// The name is one of an image: it needs no escapes.
Status remove(const Arguments& arguments) {
  LMSB_CHECK(Store(arguments.data_dir).remove(arguments.words[2]));
  if (arguments.json) std::printf("{\"removed\":[\"%s\"]}\n", arguments.words[2].c_str());
  return {};
}

Status check(const Arguments& arguments) {
  LMSB_TRY(const Image image, Store(arguments.data_dir).find(arguments.words[2]));
  return {};
}

// Files of images belong to ids that a user has as root of a namespace of the user's alone. What is made there is
// closed to others.
Status go_rootless(Arguments& arguments) {
  if (::geteuid() == 0) return {};
  LMSB_CHECK(lmsb::sandbox::check_own_namespace());
  LMSB_TRY(const auto ids, lmsb::sandbox::own_ids_of_this_user());
  const mode_t before = ::umask(077);
  std::error_code failure;
  std::filesystem::create_directories(arguments.data_dir, failure);
  ::umask(before);
  if (failure) return Error::from_errno(failure.value(), "make " + arguments.data_dir);
  LMSB_CHECK(lmsb::sandbox::enter_own_namespace(ids));
  arguments.user_ids = ids.per_sandbox;
  return {};
}

Status run(Arguments& arguments) {
  const auto& words = arguments.words;
  const std::string command = words.size() < 2 || words[0] != "image" ? "" : words[1];
  if (command == "ls" && words.size() == 2) return list(arguments);
  if (command != "build" && command != "rm" && command != "check")
    return misuse("say which of: image build, image ls, image check, image rm");
  if (words.size() != 3) return misuse("image " + command + " needs the name of one image");
  if (command == "check") return check(arguments);
  LMSB_CHECK(go_rootless(arguments));
  return command == "build" ? build(arguments) : remove(arguments);
}

// One line, as all of the program's errors.
int report(const Error& error) {
  std::string line = error.message() + (error.hint().empty() ? "" : "; " + error.hint());
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::fprintf(stderr, "lm-sandbox: %s\n", line.c_str());
  return error.code() == ErrorCode::invalid_argument ? kUsageStatus : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, [](int) { g_stopped.store(true); });
  auto arguments = read_arguments(argc, argv);
  if (!arguments.ok()) return report(arguments.error());
  if (arguments->help) return std::fputs(kUsage, stdout), EXIT_SUCCESS;
  const Status done = run(*arguments);
  return done.ok() ? EXIT_SUCCESS : report(done.error());
}
