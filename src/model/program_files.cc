#include "model/program_files.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <glob.h>
#include <set>
#include <sstream>
#include <string_view>

#include "base/text.h"
#include "model/elf.h"
#include "os/small_file.h"

namespace lmsb::model {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxObjects = 512;
constexpr int kMaxIncludes = 4;  // of files in files

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

void add_once(std::vector<std::string>& list, const std::string& item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

void read_loader_configuration(const std::string& pattern, int depth, std::vector<std::string>& directories) {
  glob_t found{};
  if (depth <= kMaxIncludes && ::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    for (std::size_t i = 0; i < found.gl_pathc; ++i)
      for (const std::string& line : split(os::read_small_file(found.gl_pathv[i]).value_or(""), '\n')) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string word;
        if (!(words >> word)) continue;
        if (word == "include" && words >> word)
          read_loader_configuration(word, depth + 1, directories);
        else if (word.starts_with('/'))
          add_once(directories, word);
      }
  ::globfree(&found);
}

bool is_within(const std::string& path, const std::string& directory) {
  return path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
}

// The program, with what it asks for, asked for in turn, until there is nothing new.
class Search {
 public:
  explicit Search(const LoaderPlaces& places) : places_(places) {}

  Status run(const std::string& program) {
    own_directory_ = fs::path(program).parent_path().string();
    LMSB_CHECK(take(program));
    if (!is_shown(program)) add_plugins();
    while (!waiting_.empty()) {
      const Object object = std::move(waiting_.front());
      waiting_.pop_front();
      for (const std::string& name : object.facts.needed) look_for(name, object);
    }
    return {};
  }
  const std::vector<std::string>& directories() const { return directories_; }
  const std::vector<std::string>& search() const { return search_; }

 private:
  struct Object {
    std::string directory;
    ElfFacts facts;
  };

  bool is_shown(const std::string& path) const {
    return std::any_of(places_.shown.begin(), places_.shown.end(),
                       [&](const std::string& shown) { return is_within(path, shown); });
  }

  void show_directory_of(const std::string& path) {
    if (!is_shown(path)) add_once(directories_, fs::path(path).parent_path().string());
  }

  // Takes a file, named as the loader would name it, to be shown and looked into.
  Status take(const std::string& path) {
    std::error_code error;
    const std::string real = fs::canonical(path, error).string();
    if (error) return Error::from_errno(error.value(), "open " + path);
    show_directory_of(real);
    // Where a link to it lies must be shown too, that directory without links itself.
    const std::string place = fs::canonical(fs::path(path).parent_path(), error).string();
    if (!error) show_directory_of(place + "/link");
    if (seen_.size() >= kMaxObjects || !seen_.insert(real).second) return {};
    LMSB_TRY(auto facts, read_elf(real));
    if (!facts) return {};  // a script: its interpreter is the machine's
    if (waiting_.empty() && seen_.size() == 1) program_rpath_ = facts->runpath.empty() ? facts->rpath : "";
    if (!facts->interpreter.empty()) (void)take(facts->interpreter);
    waiting_.push_back({fs::path(real).parent_path().string(), *std::move(facts)});
    return {};
  }

  // llama.cpp loads these by itself from the program's folder.
  void add_plugins() {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(own_directory_, error))
      if (entry.path().filename().string().starts_with("libggml-")) (void)take(entry.path().string());
  }

  static std::vector<std::string> expand(const std::string& path, const std::string& origin) {
    std::vector<std::string> directories = split(path, ':');
    for (std::string& directory : directories)
      for (const std::string_view word : {"${ORIGIN}", "$ORIGIN"})
        if (const std::size_t at = directory.find(word); at != std::string::npos)
          directory.replace(at, word.size(), origin);
    return directories;
  }

  bool try_in(const std::vector<std::string>& directories, const std::string& name) {
    return std::any_of(directories.begin(), directories.end(), [&](const std::string& directory) {
      const std::string path = directory + "/" + name;
      std::error_code error;
      if (!directory.starts_with('/') || !fs::is_regular_file(path, error) || !take(path).ok()) return false;
      found_in_ = directory;
      return true;
    });
  }

  // In the loader's order; last, where builds leave libraries that nothing points to.
  void look_for(const std::string& name, const Object& object) {
    if (name.find('/') != std::string::npos) return void(name.starts_with('/') && take(name).ok());
    const ElfFacts& facts = object.facts;
    if (facts.runpath.empty() &&
        (try_in(expand(facts.rpath, object.directory), name) || try_in(expand(program_rpath_, own_directory_), name)))
      return;
    if (try_in(places_.extra, name)) return note_search();
    if (try_in(expand(facts.runpath, object.directory), name) || try_in(places_.standard, name)) return;
    if (try_in({own_directory_, own_directory_ + "/../lib", own_directory_ + "/../lib64"}, name)) note_search();
  }

  void note_search() {
    std::error_code error;
    const std::string real = fs::canonical(found_in_, error).string();
    if (!error && !is_shown(real)) add_once(search_, real);
  }

  const LoaderPlaces& places_;  // of the caller
  std::string own_directory_;
  std::string program_rpath_;  // the program's holds for its libraries too
  std::string found_in_;
  std::deque<Object> waiting_;
  std::set<std::string> seen_;
  std::vector<std::string> directories_;
  std::vector<std::string> search_;
};

std::vector<std::string> outermost(const std::vector<std::string>& directories) {
  std::vector<std::string> kept;
  for (const std::string& directory : directories)
    if (std::none_of(directories.begin(), directories.end(),
                     [&](const std::string& other) { return other != directory && is_within(directory, other); }))
      kept.push_back(directory);
  return kept;
}

Status check_showable(const std::string& program, const std::vector<std::string>& directories) {
  constexpr std::array<std::string_view, 9> kOwn = {"/etc", "/root", "/run",  "/dev",    "/proc",
                                                    "/sys", "/bin",  "/sbin", "/var/run"};
  const auto refused = [&](const std::string& why) {
    return Error(ErrorCode::failed_precondition, program + " cannot be shown to a sandbox: " + why)
        .with_slug("program_not_showable")
        .with_hint("install it with its libraries below /usr/local or in a folder of its own below /opt");
  };
  for (const std::string& directory : directories) {
    const bool is_own = std::any_of(kOwn.begin(), kOwn.end(),
                                    [&](std::string_view own) { return is_within(directory, std::string(own)); });
    if (is_own || fs::path(directory).parent_path() == directory) return refused("it needs files in " + directory);
  }
  if (directories.size() > kMaxDirectories)
    return refused("its libraries are in more than " + std::to_string(kMaxDirectories) + " folders");
  return {};
}

}  // namespace

LoaderPlaces loader_places_of_machine() {
  LoaderPlaces places;
  const char* extra = std::getenv("LD_LIBRARY_PATH");
  places.extra = split(extra != nullptr ? extra : "", ':');
  read_loader_configuration("/etc/ld.so.conf", 0, places.standard);
  for (const char* own :
       {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"})
    add_once(places.standard, own);
  return places;
}

Result<ProgramFiles> find_program_files(const std::string& program, const LoaderPlaces& places) {
  ProgramFiles files;
  std::error_code error;
  files.program = fs::canonical(program, error).string();
  if (error) return Error::from_errno(error.value(), "open " + program);
  Search search(places);
  LMSB_CHECK(search.run(files.program));
  files.directories = outermost(search.directories());
  files.search = search.search();
  LMSB_CHECK(check_showable(program, files.directories));
  return files;
}

}  // namespace lmsb::model
